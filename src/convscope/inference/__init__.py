"""From images to predictions, by any form of a trained network. Stands on Predictors alone."""
