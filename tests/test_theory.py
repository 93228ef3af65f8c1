"""The mathematics of notebook 01 against closed forms, scipy's recursive filter, numpy's
polynomials and dense matrices.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from deblurlib import teaching, theory

GEOMETRIC = 0.6 ** np.arange(9) / (0.6 ** np.arange(9)).sum()
BOX = np.ones(9) / 9


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- kernels --------------------------------------------------------------------------------------
# -------------------


def test_a_horizontal_and_a_vertical_line_are_boxes():
    horizontal = theory.line_kernel(9)
    np.testing.assert_allclose(horizontal[4], BOX, atol=1e-12)
    assert np.count_nonzero(horizontal) == 9
    np.testing.assert_allclose(theory.line_kernel(9, 90), horizontal.T, atol=1e-12)


@pytest.mark.parametrize("angle", [0, 17, 30, 45, 90, 120, 179])
@pytest.mark.parametrize("length", [1, 2, 9, 15])
def test_lines_are_normalised_symmetric_and_point_where_they_should(length, angle):
    kernel = theory.line_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0 and kernel.shape[0] % 2 == 1
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-9)
    if length >= 9:
        found, anisotropy = theory.principal_angle(kernel)
        assert abs((found - angle + 90) % 180 - 90) < 3 and anisotropy > 0.9
        assert 0 <= found < 180


def test_thirty_degrees_rises_to_the_right():
    kernel = theory.line_kernel(9, 30)
    centre = kernel.shape[0] // 2
    assert kernel[:centre, centre + 1 :].sum() > 5 * kernel[centre + 1 :, centre + 1 :].sum()


def test_a_path_is_splatted_at_its_centre_of_mass(rng):
    down, right = rng.uniform(-3, 3, (2, 50))
    kernel = theory.path_kernel(down, right)
    rows, columns = np.indices(kernel.shape) - kernel.shape[0] // 2
    assert (kernel * rows).sum() == pytest.approx(down.mean()) and (
        kernel * columns
    ).sum() == pytest.approx(right.mean())


def test_a_curve_fills_its_extent_and_repeats(rng):
    kernel = theory.curve_kernel(21, rng)
    assert kernel.shape == (21, 21) and kernel.sum() == pytest.approx(1)
    np.testing.assert_array_equal(kernel, theory.curve_kernel(21, np.random.default_rng(0)))


def test_a_positive_turn_is_anticlockwise():
    arc = theory.arc_kernel(40, 0, 90)  # heads down at first, up at last: a bowl
    centre, columns = arc.shape[0] // 2, arc.sum(0).nonzero()[0]
    height = [arc[:, c].nonzero()[0].mean() for c in columns]
    assert height[len(height) // 2] > centre + 2 and max(height[0], height[-1]) < centre


def test_rounding_does_not_widen_a_kernel():
    assert theory.path_kernel(np.zeros(2), np.array([-2, 2 + 1e-12])).shape == (5, 5)


def test_a_curve_is_drawn_from_its_seed_as_ever():
    kernel = theory.curve_kernel(21, np.random.default_rng(0))
    centre = (kernel * np.indices(kernel.shape)).sum((1, 2))
    assert centre == pytest.approx([11.61881783, 11.54659279])


# --- zero boundary --------------------------------------------------------------------------------
# -------------------


def test_causal_blur_is_equation_1(rng):
    x, k = rng.random(40), rng.random(5)
    by_hand = [sum(k[m] * x[n - m] for m in range(5) if n >= m) for n in range(40)]
    np.testing.assert_allclose(theory.convolve(x, k, anchor=0), by_hand, atol=1e-14)
    np.testing.assert_allclose(theory.convolve(x, k, anchor=0), lfilter(k, [1], x), atol=1e-14)


def test_radn_equation_1_needs_the_index_m(rng):
    image, kernel = rng.random((12, 13)), rng.random((3, 5))
    right, printed = np.zeros_like(image), np.zeros_like(image)
    for x, y in np.ndindex(*image.shape):
        for m, n in np.ndindex(3, 5):
            m, n = m - 1, n - 2
            if 0 <= x - m < 12 and 0 <= y - n < 13:
                right[x, y] += kernel[m + 1, n + 2] * image[x - m, y - n]
            if 0 <= x - n < 12 and 0 <= y - n < 13:
                printed[x, y] += kernel[m + 1, n + 2] * image[x - n, y - n]
    np.testing.assert_allclose(theory.convolve(image, kernel), right, atol=1e-13)
    assert np.abs(printed - right).max() > 0.1


def test_the_centre_of_an_even_kernel_is_its_right_half(rng):
    x = rng.random(10)
    blurred = theory.convolve(x, [0.25, 0.75])  # the tap at index 1 multiplies the pixel itself
    np.testing.assert_allclose(blurred, 0.75 * x + 0.25 * np.r_[x[1:], 0])


def test_the_recursion_inverts_and_agrees_with_lfilter(rng):
    x = rng.random(200)
    y = theory.convolve(x, GEOMETRIC, anchor=0)
    assert np.abs(theory.invert_recursively(y, GEOMETRIC) - x).max() < 1e-14
    noisy = y + rng.standard_normal(200)
    np.testing.assert_allclose(
        theory.invert_recursively(noisy, GEOMETRIC),
        lfilter([1], GEOMETRIC, noisy),
        rtol=1e-12,
        atol=1e-12,
    )


def test_the_expansion_and_its_remainder_add_up_to_the_sharp_signal(rng):
    x, k = rng.random(60), np.array([0.5, 0.3, 0.1, 0.06, 0.04])
    y = theory.convolve(x, k, anchor=0)
    for substitutions in (0, 1, 2, 5):
        known = theory.expansion_terms(y, k, substitutions + 1, anchor=0).sum(0)
        np.testing.assert_allclose(
            known + theory.expansion_remainder(x, k, substitutions, anchor=0), x, atol=1e-13
        )
    printed = y / 0.5 - sum(k[m] * np.r_[np.zeros(m), y[:-m]] for m in range(1, 5)) / 0.5**2
    np.testing.assert_allclose(
        theory.expansion_terms(y, k, 2, anchor=0).sum(0), printed, atol=1e-14
    )


def test_after_j_substitutions_the_taps_0_to_j_are_exact():
    exact, impulse = theory.inverse_taps(GEOMETRIC, 40), np.eye(1, 40)[0]
    for substitutions in (0, 1, 4, 10):
        taps = theory.expansion_terms(impulse, GEOMETRIC, substitutions + 1, anchor=0).sum(0)
        wrong = np.flatnonzero(np.abs(taps - exact) > 1e-12)
        assert wrong[0] == substitutions + 1


def test_radn_equation_2_needs_the_centre_left_out(rng):
    kernel, image = rng.random((3, 3)), rng.random((24, 24))
    kernel[1, 1] = 2.0
    blurred, k0 = theory.convolve(image, kernel), kernel[1, 1]
    included = (
        blurred / k0
        - (
            theory.convolve(blurred, kernel)
            - theory.convolve(theory.convolve(image, kernel), kernel)
        )
        / k0**2
    )
    np.testing.assert_allclose(included, blurred / k0, atol=1e-14)  # the printed sums cancel
    assert np.abs(included - image).max() > 0.3
    mended = theory.expansion_terms(blurred, kernel, 2).sum(0) + theory.expansion_remainder(
        image, kernel, 1
    )
    np.testing.assert_allclose(mended, image, atol=1e-13)


def test_the_quadrant_expansion_ends_after_46_terms_on_24_by_24(rng):
    kernel = np.array([[0.33, 0.12, 0.07], [0.1, 0.08, 0.06], [0.09, 0.08, 0.07]])
    image = rng.random((24, 24))
    terms = theory.expansion_terms(theory.convolve(image, kernel, anchor=0), kernel, 49, anchor=0)
    error = np.abs(terms.cumsum(0) - image).max((1, 2))
    assert error[46] < 1e-8 and error[10] > 1 and np.abs(terms[47:]).max() < 1e-12


@pytest.mark.parametrize("taps", [3, 5, 9])
def test_a_causal_box_needs_exactly_n_minus_1_substitutions(taps, rng):
    x = rng.random(24) + 1
    error = (
        theory.expansion_terms(
            theory.convolve(x, np.ones(taps) / taps, anchor=0), np.ones(taps) / taps, 24, anchor=0
        ).cumsum(0)
        - x
    )
    assert np.abs(error[23]).max() < 1e-7 and np.abs(error[22]).max() > 0.5


@pytest.mark.parametrize(
    ("kernel", "ratio"), [([0.15, 0.6, 0.25], 2 / 3), ([0.3, 0.4, 0.3], 1.5), ([1 / 3] * 3, 2.0)]
)
def test_the_centred_expansion_converges_below_ratio_1(kernel, ratio, rng):
    assert theory.expansion_ratio(np.array(kernel)) == pytest.approx(ratio)
    x = rng.random(24)
    error = np.abs(theory.expansion_terms(theory.convolve(x, kernel), kernel, 61).sum(0) - x).max()
    assert (error < 1e-10) == (ratio < 1)


def test_zeros_are_numpys_roots_and_predict_stability():
    np.testing.assert_allclose(theory.kernel_zeros(np.poly([0.2, -0.9, 0.5])), [-0.9, 0.5, 0.2])
    zeros = theory.kernel_zeros(GEOMETRIC)
    np.testing.assert_allclose(np.abs(zeros), 0.6)
    np.testing.assert_allclose(np.abs(theory.kernel_zeros(BOX)), 1)
    assert np.abs(theory.kernel_zeros(GEOMETRIC[::-1])[0]) == pytest.approx(1 / 0.6)
    np.testing.assert_allclose(np.poly(zeros) * GEOMETRIC[0], GEOMETRIC, atol=1e-12)
    reverse = np.abs(theory.inverse_taps((0.8 ** np.arange(9))[::-1], 500))
    assert (
        reverse.max() > 1e30
        and np.abs(theory.inverse_taps(0.8 ** np.arange(9), 500)[-9:]).max() < 1e-12
    )


def test_the_inverse_of_a_causal_box_is_an_endless_comb():
    taps = theory.inverse_taps(np.ones(5) / 5, 50)
    comb = np.where(np.arange(50) % 5 == 0, 5.0, np.where(np.arange(50) % 5 == 1, -5.0, 0.0))
    np.testing.assert_allclose(taps, comb, atol=1e-11)
    for length in (3, 5, 9):
        assert (
            np.abs(theory.transfer_function(np.ones(length) / length, (180,), 0)) < 1e-12
        ).sum() == length - 1


@pytest.mark.parametrize(("ratio", "count"), [(0.3, 4), (0.6, 10), (0.9, 44)])
def test_the_memory_of_a_two_tap_inverse(ratio, count):
    taps = np.abs(theory.inverse_taps([1, ratio], 600))
    assert (taps > 0.01).sum() == np.floor(np.log(0.01) / np.log(ratio)) + 1 == count


# --- the scan -------------------------------------------------------------------------------------
# -------------------


@pytest.mark.parametrize(
    ("a", "p", "gain", "top"),
    [
        (0.2, -0.25, 1.29, 5 / 3),
        (0.4, -0.667, 2.24, 5),
        (0.45, -0.818, 3.16, 10),
        (0.49, -0.961, 7.07, 50),
    ],
)
def test_one_scan_undoes_a_two_tap_blur(a, p, gain, top, rng):
    x = rng.random(300)
    blurred = theory.convolve(x, [1 - a, a], anchor=0)
    assert theory.two_tap_pole(a) == pytest.approx(p, abs=1e-3)
    assert np.abs(theory.scan(blurred, theory.two_tap_pole(a)) - x).max() < 1e-14
    assert theory.noise_gain([1 - a, a]) == pytest.approx(gain, abs=5e-3)
    assert np.abs(1 / theory.transfer_function([1 - a, a], (512,), 0)).max() == pytest.approx(top)


def test_a_two_tap_blur_past_one_half_is_undone_from_the_other_side(rng):
    x = rng.random(300)
    assert theory.noise_gain([0.45, 0.55]) == theory.noise_gain(BOX) == np.inf
    assert np.abs(theory.inverse_taps([0.45, 0.55], 201)[[50, 200]]) == pytest.approx(
        [5e4, 6e17], rel=0.3
    )
    # seen from the right the kernel is [0.55, 0.45]: one more sample makes the boundary zero there
    # too
    longer = np.convolve(x, [0.45, 0.55])
    assert (
        np.abs(theory.scan(longer[1:], theory.two_tap_pole(0.45), reverse=True) - x).max() < 1e-13
    )


@pytest.mark.parametrize(("b", "p"), [(0.1, -0.127), (0.2, -0.382), (0.24, -0.667)])
def test_there_and_back_undoes_a_symmetric_blur(b, p, rng):
    assert theory.symmetric_pole(b) == pytest.approx(p, abs=1e-3)
    x = np.zeros(400)
    x[100:300] = rng.random(200)  # a margin longer than the memory of the scans
    blurred = theory.convolve(x, [b, 1 - 2 * b, b])
    there = theory.scan(blurred, theory.symmetric_pole(b))
    assert np.abs(theory.scan(there, theory.symmetric_pole(b), reverse=True) - x).max() < 1e-13
    with pytest.raises(ValueError, match="1/4"):
        theory.symmetric_pole(0.3)


def test_scan_closed_forms(rng):
    x = rng.random((3, 50))
    np.testing.assert_array_equal(theory.scan(x, 0), x)
    np.testing.assert_allclose(theory.scan(np.ones(50), 0.9), 1 - 0.9 ** np.arange(1, 51))
    np.testing.assert_allclose(theory.scan(np.ones(3), -0.9), [1.9, 0.19, 1.729])
    np.testing.assert_allclose(theory.scan(x, -0.7), lfilter([1.7], [1, 0.7], x), atol=1e-13)
    p = rng.uniform(-0.9, 0.9, x.shape)
    np.testing.assert_allclose(
        theory.scan(x, p, reverse=True), theory.scan(x[:, ::-1], p[:, ::-1])[:, ::-1], atol=1e-13
    )
    assert np.abs(theory.scan(x, p)).max() < 1.9 / 0.1


# --- blur matrices --------------------------------------------------------------------------------
# -------------------


def test_the_matrix_is_the_convolution(rng):
    image, kernel = rng.random((7, 9)), rng.random((3, 5))
    for anchor in (None, 0):
        matrix = theory.blur_matrix(kernel, image.shape, anchor)
        np.testing.assert_allclose(
            (matrix @ image.ravel()).reshape(image.shape),
            theory.convolve(image, kernel, anchor),
            atol=1e-14,
        )
    varying = rng.random((7, 9, 3, 3))
    row = theory.blur_matrix(varying, (7, 9)).toarray()[3 * 9 + 4].reshape(7, 9)
    np.testing.assert_allclose(row[2:5, 3:6], varying[3, 4, ::-1, ::-1])
    assert np.count_nonzero(row) == 9


@pytest.mark.parametrize(("taps", "anchor"), [([0.2, 0.55, 0.25], None), ([0.2] * 5, 0)])
def test_a_horizontal_blur_has_a_horizontal_inverse(taps, anchor):
    anchor = anchor if anchor is None else (0, anchor)
    inverse = np.linalg.inv(theory.blur_matrix(np.array([taps]), (15, 15), anchor).toarray())
    centre = inverse[7 * 15 + 7].reshape(15, 15)
    assert np.count_nonzero(np.delete(centre, 7, axis=0)) == 0
    if anchor is None:
        assert (np.abs(centre[7]) > 1e-3 * np.abs(centre).max()).sum() == 15
    else:
        np.testing.assert_allclose(centre[7, [7, 6, 5, 2, 1]], [5, -5, 0, 5, -5], atol=1e-9)


# --- Fourier --------------------------------------------------------------------------------------
# -------------------


def test_fourier_blur_is_convolution_away_from_the_border(rng):
    image, kernel = rng.random((40, 40, 3)), theory.line_kernel(7, 30)
    blurred = theory.apply_filter(image, theory.transfer_function(kernel, (40, 40)))
    np.testing.assert_allclose(
        blurred[5:-5, 5:-5, 1], theory.convolve(image[..., 1], kernel)[5:-5, 5:-5], atol=1e-12
    )
    with pytest.raises(ValueError, match="does not fit"):
        theory.transfer_function(np.ones((9, 9)), (8, 20))


def test_exact_inverse_and_both_splits_are_one_without_noise(rng):
    kernel = 0.6 ** np.abs(np.arange(-4, 5))
    transfer = theory.transfer_function(kernel / kernel.sum(), (1024,))
    x = rng.random(1024)
    blurred = theory.apply_filter(x, transfer)
    for inverse in [theory.inverse_filter(transfer)] + [
        np.prod(theory.split_inverse(transfer, 0, f), 0) for f in ("matched", "squared")
    ]:
        assert np.abs(theory.apply_filter(blurred, inverse) - x).max() < 1e-12
    lopsided = theory.transfer_function(GEOMETRIC, (1024,), anchor=0)
    careful = theory.apply_filter(
        theory.apply_filter(x, lopsided), theory.inverse_filter(lopsided, 1e-9)
    )
    assert np.abs(careful - x).max() < 1e-6
    matched = np.prod(theory.split_inverse(transfer, 1e-3), 0)
    np.testing.assert_allclose(matched, theory.inverse_filter(transfer, 1e-3), atol=1e-12)
    with pytest.raises(ValueError, match="no form"):
        theory.split_inverse(transfer, 0, "other")


def test_the_wiener_gain_peaks_at_half_of_one_plus_c_over_root_c():
    transfer, c = np.linspace(1, 0, 10001), 0.04
    gain = theory.inverse_filter(transfer, c)
    assert gain.max() == pytest.approx((1 + c) / (2 * np.sqrt(c)), rel=1e-6)
    assert transfer[gain.argmax()] == pytest.approx(0.2)


@pytest.mark.parametrize("constant", [0, 1e-4, 1e-2, 0.1, 1])
def test_the_wiener_filter_keeps_the_mean_of_the_picture(rng, constant):
    transfer = theory.transfer_function(theory.line_kernel(9, 30), (32, 40))
    picture = rng.random((32, 40, 3)) + 0.5
    restored = theory.apply_filter(
        theory.apply_filter(picture, transfer), theory.inverse_filter(transfer, constant)
    )
    np.testing.assert_allclose(restored.mean((0, 1)), picture.mean((0, 1)), rtol=1e-12)


def test_a_wiener_constant_for_each_frequency_is_taken_as_it_is():
    transfer, c = np.array([1.0, 0.5, 0.1]), np.array([1.0, 0.1, 0.01])
    np.testing.assert_allclose(theory.inverse_filter(transfer, c), [1 / 2, 0.5 / 0.35, 5])


def test_a_kernel_without_a_mean_has_none_to_restore():
    transfer = np.array([0.0, 0.5, 0.1])
    np.testing.assert_allclose(theory.inverse_filter(transfer, 0.01), [0, 0.5 / 0.26, 5])


def test_the_wiener_constant_is_the_best_constant(rng):
    transfer, noise = theory.transfer_function(BOX, (512,)), 0.01
    spectrum = theory.natural_spectrum((512,))

    def expected_error(inverse):
        return (
            np.abs(1 - inverse * transfer) ** 2 * spectrum + np.abs(inverse) ** 2 * noise**2 * 512
        ).sum()

    best = theory.wiener_constant(spectrum, noise)
    errors = [
        expected_error(theory.inverse_filter(transfer, best * factor))
        for factor in (0.8, 1.0, 1.25)
    ]
    assert errors[1] < min(errors[0], errors[2])
    assert all(
        errors[1] < expected_error(theory.inverse_filter(transfer, c))
        for c in np.logspace(-6, 0, 30)
    )


def test_the_inverse_of_a_nine_pixel_line_grows_as_the_constant_falls():
    transfer = theory.transfer_function(theory.line_kernel(9), (256, 256))
    taps = [
        theory.impulse_response(theory.inverse_filter(transfer, c))
        for c in (1e-1, 1e-2, 1e-3, 1e-4)
    ]
    sides = [2 * theory.support_radius(t, power=2) + 1 for t in taps]
    assert sides[0] > 2 * 9 and all(b > 1.5 * a for a, b in pairwise(sides))


@pytest.mark.parametrize(
    ("kernel", "constant", "radii", "energies", "gains"),
    [
        (0.6 ** np.abs(np.arange(-4, 5)), 0, (4, 13, 16), (4, 5, 9), (20.6, 425)),
        (np.ones(9), 1e-3, (4, 195, 285), (4, 66, 100), (15.8, 250)),
        (np.ones(9), 1e-4, (4, 461, 497), (4, 195, 339), (50, 2498)),
    ],
)
def test_support_of_a_kernel_its_inverse_and_its_squared_inverse(
    kernel, constant, radii, energies, gains
):
    transfer = theory.transfer_function(kernel / kernel.sum(), (1024,))
    inverse = theory.inverse_filter(transfer, constant)
    filters = [theory.impulse_response(f) for f in (transfer, inverse, inverse**2)]
    assert tuple(theory.support_radius(f) for f in filters) == radii
    assert tuple(theory.support_radius(f, power=2) for f in filters) == energies
    assert (np.abs(inverse).max(), np.abs(inverse).max() ** 2) == pytest.approx(gains, rel=2e-3)


def test_support_of_known_filters():
    taps = np.zeros((11, 11))
    taps[5, 1:10] = 1
    assert theory.support_radius(taps) == 4 and theory.support_count(taps) == 9
    assert (
        theory.support_radius(taps, share=0.5) == 2 and theory.support_count(taps, share=0.5) == 5
    )
    taps[0, 0] = 0.1  # one percent of the absolute mass, a thousandth of the energy
    assert (
        theory.support_radius(taps, share=0.995) == 5
        and theory.support_radius(taps, share=0.995, power=2) == 4
    )


@pytest.mark.parametrize("length", [9, 15])
@pytest.mark.parametrize("angle", [0, 30, 45, 90, 120])
def test_the_inverse_of_a_line_lies_along_the_line(length, angle):
    transfer = theory.transfer_function(theory.line_kernel(length, angle), (129, 129))
    taps = theory.impulse_response(theory.inverse_filter(transfer, 0.01))
    energy, area = theory.band_energy(taps, angle)
    found, _ = theory.principal_angle(taps)
    assert energy > 0.985 and area < 0.04
    assert abs((found - angle + 90) % 180 - 90) < 2
    assert theory.band_energy(taps, angle + 90)[0] < 0.5


def test_the_inverse_of_a_round_blur_has_no_direction():
    taps = theory.impulse_response(
        theory.inverse_filter(
            theory.transfer_function(theory.gaussian_kernel(2.5), (129, 129)), 0.01
        )
    )
    assert theory.band_energy(taps, 0)[0] == pytest.approx(0.709, abs=2e-3)
    assert theory.principal_angle(taps)[1] < 1e-9


# --- finite filters
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("radius", "single", "split", "longer"),
    [
        (2, 0.397, 0.274, 0.266),
        (4, 0.344, 0.254, 0.243),
        (8, 0.243, 0.240, 0.237),
        (16, 0.199, 0.195, 0.195),
    ],
)
def test_the_split_buys_what_longer_taps_would(radius, single, split, longer):
    transfer, spectrum = theory.transfer_function(BOX, (512,)), theory.natural_spectrum((512,))
    assert theory.least_squares_fir(transfer, radius, spectrum, 0.01)[1] == pytest.approx(
        single, abs=1e-3
    )
    assert theory.split_fir(transfer, radius, spectrum, 0.01)[1] == pytest.approx(split, abs=1e-3)
    assert theory.least_squares_fir(transfer, radius + 4, spectrum, 0.01)[1] == pytest.approx(
        longer, abs=1e-3
    )


def test_the_symmetry_trap_of_equation_3():
    transfer, spectrum = (
        theory.transfer_function(BOX, (512,), anchor=0),
        theory.natural_spectrum((512,)),
    )
    errors = [theory.least_squares_fir(transfer, 4, spectrum, 0.01)[1]]
    errors += [
        theory.split_fir(transfer, 4, spectrum, 0.01, matched)[1] for matched in (False, True)
    ]
    assert errors == pytest.approx([0.293, 0.375, 0.254], abs=1e-3)


def test_the_expected_error_is_the_error_of_a_simulation(rng):
    spectrum = theory.natural_spectrum((512,))
    transfer = theory.transfer_function(BOX, (512,))
    taps, expected = theory.least_squares_fir(transfer, 4, spectrum, 0.01)
    squares = []
    for _ in range(400):
        x = theory.apply_filter(rng.standard_normal(512), np.sqrt(spectrum / 512))
        y = theory.apply_filter(x, transfer) + 0.01 * rng.standard_normal(512)
        squares.append(
            [
                np.mean((theory.apply_filter(y, theory.transfer_function(taps, (512,))) - x) ** 2),
                np.mean(x**2),
            ]
        )
    error, variance = np.mean(squares, axis=0)
    assert np.sqrt(error / variance) == pytest.approx(expected, rel=0.03)


def test_a_long_filter_reaches_the_wiener_filter():
    spectrum, transfer = theory.natural_spectrum((512,)), theory.transfer_function(BOX, (512,))
    wiener = theory.inverse_filter(transfer, theory.wiener_constant(spectrum, 0.01))
    error = np.abs(1 - wiener * transfer) ** 2 * spectrum + np.abs(wiener) ** 2 * 0.01**2 * 512
    assert theory.least_squares_fir(transfer, 250, spectrum, 0.01)[1] == pytest.approx(
        np.sqrt(error.sum() / spectrum.sum()), rel=1e-3
    )


# --- receptive fields
# ------------------------------------------------------------------------------------------------


def test_receptive_field_of_stacked_convolutions():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 1, 5, padding=2)
    ).double()
    field = theory.receptive_field(net, (21, 21), channels=2)
    assert (
        field.min() == 0
        and np.count_nonzero(field) == 49
        and np.count_nonzero(field[7:14, 7:14]) == 49
    )


def test_receptive_field_of_scans_is_a_cross_until_they_are_mixed():
    def scans(x):  # four directions, p = 0.9, summed
        def along(x, axis, reverse):
            x = x.flip(axis) if reverse else x
            h, found = torch.zeros_like(x.select(axis, 0)), []
            for s in x.unbind(axis):
                h = 0.1 * s + 0.9 * h
                found.append(h)
            y = torch.stack(found, axis)
            return y.flip(axis) if reverse else y

        return sum(along(x, axis, reverse) for axis in (2, 3) for reverse in (False, True))

    assert np.count_nonzero(theory.receptive_field(scans, (41, 41))) == 81
    assert np.count_nonzero(theory.receptive_field(lambda x: scans(scans(x)), (41, 41))) == 1681


# --- errors ---------------------------------------------------------------------------------------
# -------------------


def test_errors_say_what_to_mend():
    with pytest.raises(ValueError, match=r"k\[0\] is 0"):
        theory.invert_recursively(np.ones(5), [0, 1])
    with pytest.raises(ValueError, match="move the anchor"):
        theory.expansion_terms(np.ones(5), [1, 0, 1], 3)
    with pytest.raises(ValueError, match="1 dimensions and the kernel 2"):
        theory.convolve(np.ones(5), np.ones((2, 2)))


def test_signal_psnr_does_not_clip():
    assert theory.signal_psnr(np.zeros(4), np.full(4, 0.1)) == pytest.approx(20)
    assert theory.signal_psnr(np.full(4, 1000.0), np.zeros(4)) == pytest.approx(-60)


# --- the checks of the lesson
# ----------------------------------------------------------------------------------------


def blind_constant(blurred, transfer, noise):
    for c in np.logspace(-6, 0, 61):
        if (
            np.std(
                blurred
                - theory.apply_filter(blurred, transfer * theory.inverse_filter(transfer, c))
            )
            > noise
        ):
            return c


@pytest.mark.parametrize(
    ("exercise", "answer", "passes", "reason"),
    [
        ("01.1", lambda y, a: None, False, "not answered"),
        ("01.1", lambda y, a: theory.scan(y, theory.two_tap_pole(a)), True, "One number"),
        ("01.1", lambda y, a: (y - a * np.r_[0, y[:-1]]) / (1 - a), False, "blurred"),
        (
            "01.1",
            lambda y, a: theory.scan(y, a / (1 - a)) * (1 - a) / (1 - 2 * a) / (1 - a),
            False,
            "sign",
        ),
        ("01.1", lambda y, a: theory.invert_recursively(y, [1, a]), False, "division"),
        ("01.1", lambda y, a: y[1:], False, "60 samples"),
        ("01.1", lambda y, a: y + np.eye(1, 60)[0], False, "first sample"),
        ("01.2", (..., ...), False, "not answered"),
        ("01.2", (-7 / 3, False), False, "multiplies rounding errors"),
        ("01.2", (3 / 7, True), False, "averages"),
        ("01.2", (-0.6, True), False, "is not right"),
        ("01.2", (-3 / 7, False), False, "from the left"),
        ("01.2", (-3 / 7, True), True, "circle"),
        ("01.3", lambda blurred, transfer, noise: ..., False, "not answered"),
        ("01.3", lambda blurred, transfer, noise: noise**2 / blurred.var(), False, "too small"),
        ("01.3", lambda blurred, transfer, noise: 0.9, False, "too large"),
        ("01.3", blind_constant, True, "unseen"),
    ],
)
def test_checks_give_the_reason(exercise, answer, passes, reason):
    verdict = teaching.check(exercise, answer)
    assert verdict.passed == passes and reason in verdict.reason, verdict
