"""Classification: what is measured, calibrated, drawn and lost where a target is one of K classes."""
