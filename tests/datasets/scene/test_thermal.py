import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants, integrate

from datasets.scene import thermal

KELVIN = st.floats(200.0, 800.0)


@pytest.mark.parametrize("kelvin", [77.0, 300.0, 1500.0])
def test_wide_band_is_stefan_boltzmann(kelvin):
    # In units of λT the same band for every temperature; it holds all but 1e-7 of the power.
    band = (2e-4 / kelvin, 5.0 / kelvin)
    expected = constants.Stefan_Boltzmann * kelvin**4 / np.pi
    assert thermal.integrate_band(kelvin, band) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kelvin", [250.0, 300.0, 600.0])
def test_band_agrees_with_adaptive_quadrature(kelvin):
    micrometres = [low * 1e6 for low in thermal.MWIR_BAND_M]
    expected, _ = integrate.quad(
        lambda um: thermal.planck_radiance(um * 1e-6, kelvin) * 1e-6, *micrometres, epsrel=1e-12
    )
    assert thermal.integrate_band(kelvin) == pytest.approx(expected, rel=1e-9)
    assert thermal.band_radiance(kelvin) == pytest.approx(expected, rel=3e-5)


def test_planck_has_wiens_maximum_and_the_rayleigh_jeans_tail():
    peak = constants.Wien / 300.0
    around = thermal.planck_radiance(peak * np.array([0.999, 1.0, 1.001]), 300.0)
    assert around[1] > around[0]
    assert around[1] > around[2]
    wavelength = 0.1
    tail = 2 * constants.c * constants.k * 300.0 / wavelength**4
    assert thermal.planck_radiance(wavelength, 300.0) == pytest.approx(tail, rel=1e-3)


def test_table_agrees_with_quadrature_between_its_steps():
    kelvin = np.linspace(200.1, 1199.9, 777)
    error = thermal.band_radiance(kelvin) / thermal.integrate_band(kelvin) - 1
    assert np.abs(error).max() < 5e-5


def test_table_refuses_temperatures_outside():
    with pytest.raises(ValueError, match="200"):
        thermal.band_radiance(np.array([300.0, 100.0]))


def test_slope_is_the_integral_of_plancks_derivative():
    def derivative(wavelength):
        x = constants.h * constants.c / (wavelength * constants.k * 300.0)
        growth = x * np.exp(x) / np.expm1(x) / 300.0
        return thermal.planck_radiance(wavelength, 300.0) * growth

    expected, _ = integrate.quad(lambda um: derivative(um * 1e-6) * 1e-6, 3, 5)
    assert thermal.band_slope(300.0) == pytest.approx(expected, rel=1e-6)


@given(KELVIN, KELVIN, st.floats(0.0, 1.0))
def test_surface_lies_between_itself_and_what_it_reflects(kelvin, ambient, emissivity):
    ends = sorted([float(thermal.band_radiance(kelvin)), float(thermal.band_radiance(ambient))])
    radiance = thermal.surface_radiance(kelvin, emissivity, ambient)
    assert ends[0] * (1 - 1e-12) <= radiance <= ends[1] * (1 + 1e-12)


def test_transmission_limits_and_product_rule():
    assert thermal.transmission(0.0, 0.2) == 1.0
    assert thermal.transmission(1e7, 0.2) == pytest.approx(0.0, abs=1e-12)
    assert thermal.transmission(1000.0, 0.2) == pytest.approx(np.exp(-0.2))
    there = thermal.transmission(700.0, 0.13) * thermal.transmission(300.0, 0.13)
    assert thermal.transmission(1000.0, 0.13) == pytest.approx(there)


def test_path_radiance_grows_from_nothing_to_the_airs():
    air = thermal.band_radiance(285.0)
    ranges = np.array([0.0, 500.0, 3000.0, 1e7])
    path = thermal.through_atmosphere(0.0, ranges, 0.15, 285.0)
    assert path[0] == 0.0
    assert (np.diff(path) > 0).all()
    assert path[-1] == pytest.approx(air)
    target = thermal.through_atmosphere(7.5, np.array([0.0, 1e7]), 0.15, 285.0)
    assert target == pytest.approx([7.5, air])


@given(KELVIN, st.floats(0.0, 20_000.0))
def test_a_black_body_at_air_temperature_looks_the_same_at_any_range(kelvin, range_m):
    radiance = thermal.band_radiance(kelvin)
    assert thermal.through_atmosphere(radiance, range_m, 0.1, kelvin) == pytest.approx(radiance)
