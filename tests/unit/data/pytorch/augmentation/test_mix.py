from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.erase import Boxes
from convscope.data.pytorch.augmentation.mix import blend, cutmix, mix, mixes, mixup, transplant

NAMES = [name for name in mixes if name != "none"]


def batch(n: int, c: int = 3, h: int = 16, w: int = 16, k: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are constant, each its own number, and one-hot targets of the same numbers modulo K."""
    x = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1).expand(n, c, h, w)
    return x.contiguous(memory_format=torch.channels_last), torch.eye(k)[torch.arange(n) % k]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    name=st.sampled_from(NAMES),
    n=st.integers(1, 5),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_shapes_and_fractions_stay(name, n, c, h, w, seed):
    x, targets = batch(n, c, h, w)
    x_before, targets_before = x.clone(), targets.clone()
    out, shares = mixes[name](x, targets, rng(seed))
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(shares.sum(1), torch.ones(n))
    assert (shares >= 0).all()
    assert torch.equal(x, x_before)
    assert torch.equal(targets, targets_before)


@pytest.mark.parametrize("name", NAMES)
def test_targets_tell_what_is_in_the_image(name):
    n = 10
    x, targets = batch(n)
    out, shares = mixes[name](x, targets, rng())
    # The image of number i is i everywhere, so the mean pixel is the mean number, weighted by the shares.
    torch.testing.assert_close(
        out.mean((1, 2, 3)), shares @ torch.arange(n, dtype=torch.float32), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_same_state_gives_the_same_and_another_another(name):
    x, targets = batch(16)
    one, again, other = (mixes[name](x, targets, rng(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", [mixup, cutmix])
def test_every_image_has_its_own_fraction(kind):
    # Partner's number minus one's own cancels from the share; what is left differs from image to image.
    x, targets = batch(200, k=200)
    _, shares = kind(x, targets, rng(), alpha=1.0)
    own = shares.diagonal()
    assert len(torch.unique(own[own < 1])) > 50


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_fractions_follow_the_beta_distribution(alpha):
    n = 4000
    _, shares = mixup(*batch(n, 1, 1, 1, k=n), rng(), alpha=alpha)
    own = shares.diagonal()[shares.diagonal() < 1].numpy()
    for q in (0.1, 0.3, 0.5, 0.8):
        expected = np.quantile(np.random.default_rng(0).beta(alpha, alpha, 200_000), q)
        assert abs((own <= expected).mean() - q) < 0.05


def test_a_cutmix_rectangle_is_of_the_partner_and_the_rest_is_ones_own():
    n = 64
    x, targets = batch(n, k=n)
    out, shares = cutmix(x, targets, rng())
    for i in range(n):
        kinds = out[i].unique()
        assert len(kinds) <= 2
        assert abs(float((out[i] == i).float().mean()) - float(shares[i, i])) < 1e-6
        rows, columns = (out[i, 0] != i).any(1).nonzero(), (out[i, 0] != i).any(0).nonzero()
        assert (out[i, 0] != i).sum() == len(rows) * len(columns)


def test_cutmix_takes_half_of_the_image_on_average():
    _, shares = cutmix(*batch(3000, 1, 32, 32, k=3000), rng())
    own = shares.diagonal()
    # 1 − λ is uniform, and what hangs over the edge is lost: 1/2 − 1/4 + a little, measured by integration
    # below.
    side = np.sqrt((np.arange(2000) + 0.5) / 2000)
    inside = side - side**2 / 4
    assert abs(float(1 - own.mean()) - float((inside**2).mean())) < 0.02


def test_blend_and_transplant_with_oneself_change_nothing():
    x, targets = torch.randn(3, 3, 5, 7), torch.eye(3)
    oneself = torch.arange(3)
    for out, shares in (
        blend(x, targets, oneself, fraction=torch.rand(3)),
        transplant(x, targets, oneself, boxes=Boxes(*(torch.tensor([end] * 3) for end in (1, 4, 2, 6)))),
    ):
        torch.testing.assert_close(out, x)
        torch.testing.assert_close(shares, targets)


def test_transplant_of_all_and_of_nothing():
    x, targets = batch(4)
    partner = torch.tensor([1, 2, 3, 0])
    end = torch.tensor([16, 0, 16, 0])
    out, shares = transplant(x, targets, partner, boxes=Boxes(0 * end, end, 0 * end, end))
    assert out[:, 0, 0, 0].tolist() == [1, 1, 3, 3]
    assert shares.argmax(1).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("kind", [mixup, cutmix])
def test_half_precision_images_stay_so(kind):
    x, targets = batch(8)
    out, shares = kind(x.bfloat16(), targets, rng())
    assert out.dtype == torch.bfloat16
    assert shares.dtype == torch.float32


def test_both_are_about_as_frequent():
    x, targets = batch(2)
    same = [
        bool((mixes["both"](x, targets, rng(seed))[0].flatten(1).amax(1) % 1 == 0).all())
        for seed in range(200)
    ]
    assert 60 < sum(same) < 160, "cutmix keeps whole numbers, and mixup with itself for a partner"


def test_names():
    assert mix("none") is None
    assert mix("mixup") is mixup
    with pytest.raises(UserError, match="did you mean 'cutmix'"):
        mix("cutmx")


@pytest.mark.parametrize("kind", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_an_alpha_that_is_not_positive_is_refused(kind, alpha):
    with pytest.raises(UserError, match="must be above 0"):
        kind(*batch(2), rng(), alpha=alpha)
