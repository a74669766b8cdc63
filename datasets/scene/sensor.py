"""The sensor-like picture: a cooled staring MWIR camera looking at the same radiance.

Optics, detector footprint and line-of-sight jitter blur it; photons and electronics make it noisy;
columns, rows and the lens leave a pattern that stays through a recording; a gain control maps it to
8 bits. Sources: Holst, "Electro-Optical Imaging System Performance" (MTF of a clear circular
aperture; NETD = σ / (dL/dT)).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from datasets.scene.render import render
from datasets.scene.thermal import band_radiance, band_slope
from datasets.scene.world import Recording, Scene

OVERSAMPLE = 3
EDGE = 6  # pixels mirrored around the image, so that the blur does not wrap


@dataclass(frozen=True)
class Sensor:
    """An InSb staring array. Spreads of the fixed pattern are temperatures at the reference."""

    reference_k: float = 300.0
    netd_k: float = 0.045  # all temporal noise, photons and electronics, at the reference
    f_number: float = 4.0
    wavelength_m: float = 4e-6
    pitch_m: float = 15e-6
    jitter_pixels: float = 0.4
    full_well: float = 7e6  # electrons, reached at saturation_k
    saturation_k: float = 350.0
    column_k: float = 0.05
    row_k: float = 0.03
    vignetting: float = 0.025  # loss at the corners, left over by the non-uniformity correction
    adc_bits: int = 14
    adc_pedestal: float = 0.03  # share of full scale without light
    # Gain control: grey level of air, and grey levels a unit of radiance, as shares of full scale.
    agc_level: float = 0.19
    agc_gain: float = 0.55

    @property
    def electrons_per_radiance(self) -> float:
        """Signal electrons for 1 W m⁻² sr⁻¹ in the band."""
        return self.full_well / float(band_radiance(self.saturation_k))

    @property
    def electronics_radiance(self) -> float:
        """Noise of the electronics: what the NETD leaves over after photon noise, W m⁻² sr⁻¹."""
        total = self.netd_k * band_slope(self.reference_k)
        photons = band_radiance(self.reference_k) / self.electrons_per_radiance
        if total**2 < photons:
            raise ValueError("photon noise alone exceeds the NETD; enlarge the well or the NETD")
        return float(np.sqrt(total**2 - photons))


SENSOR = Sensor()


def sensor_image(
    scene: Scene, size: int, rng: np.random.Generator, bits: int = 8, sensor: Sensor = SENSOR
) -> np.ndarray:
    """One frame, (size, size): uint8 after gain control, or uint16 holding 14-bit counts."""
    return sense(render(scene, size, OVERSAMPLE).radiance, scene.recording, rng, bits, sensor)


def sense(
    samples: np.ndarray,
    recording: Recording,
    rng: np.random.Generator,
    bits: int = 8,
    sensor: Sensor = SENSOR,
) -> np.ndarray:
    """What the sensor makes of radiance samples (size·OVERSAMPLE squared); as `sensor_image`."""
    radiance = blur(samples, OVERSAMPLE, sensor)
    size = radiance.shape[0]
    radiance = radiance * fall_off(size, sensor) + fixed_pattern(recording, size, sensor)
    radiance = add_temporal_noise(radiance, rng, sensor)
    if bits == 16:
        return counts(radiance, recording.gain, sensor)
    return gain_control(radiance, recording, sensor)


def optics_mtf(frequency: np.ndarray, sensor: Sensor = SENSOR) -> np.ndarray:
    """Contrast that optics and jitter leave at a spatial frequency in cycles per pixel, 0..1."""
    cutoff = sensor.pitch_m / (sensor.wavelength_m * sensor.f_number)
    share = np.minimum(frequency / cutoff, 1.0)
    diffraction = 2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2))
    return diffraction * np.exp(-2 * (np.pi * sensor.jitter_pixels * frequency) ** 2)


@lru_cache(maxsize=4)
def _filter(side: int, oversample: int, sensor: Sensor) -> np.ndarray:
    across = fft.rfftfreq(side, 1 / oversample)
    down = fft.fftfreq(side, 1 / oversample)
    return optics_mtf(np.hypot(down[:, None], across[None, :]), sensor)


def blur(samples: np.ndarray, oversample: int, sensor: Sensor = SENSOR) -> np.ndarray:
    """From samples (S·k, S·k) to what the detectors collect, (S, S): optics, then footprints.

    The detectors fill their pitch, so the mean over k² samples is their sinc MTF.
    """
    margin = EDGE * oversample
    padded = np.pad(samples, margin, mode="symmetric")
    spectrum = fft.rfft2(padded) * _filter(padded.shape[0], oversample, sensor)
    image = fft.irfft2(spectrum, s=padded.shape)[margin:-margin, margin:-margin]
    size = samples.shape[0] // oversample
    return image.reshape(size, oversample, size, oversample).mean(axis=(1, 3))


def fall_off(size: int, sensor: Sensor = SENSOR) -> np.ndarray:
    """Share of the light that reaches each pixel, (size, size): 1 in the middle."""
    place = (np.arange(size) + 0.5) / size * 2 - 1
    return 1 - sensor.vignetting * (place[:, None] ** 2 + place[None, :] ** 2) / 2


def fixed_pattern(recording: Recording, size: int, sensor: Sensor = SENSOR) -> np.ndarray:
    """Offsets of columns and rows, radiance (size, size); the same in all frames of a recording."""
    rng = np.random.default_rng(recording.pattern_seed)
    slope = band_slope(sensor.reference_k)
    columns = sensor.column_k * slope * rng.standard_normal(size)
    rows = sensor.row_k * slope * rng.standard_normal(size)
    return columns[None, :] + rows[:, None]


def add_temporal_noise(
    radiance: np.ndarray, rng: np.random.Generator, sensor: Sensor = SENSOR
) -> np.ndarray:
    """Photon noise (Poisson in electrons) and Gaussian noise of the electronics.

    At the reference temperature the two together have the standard deviation NETD · dL/dT.
    """
    electrons = rng.poisson(np.maximum(radiance, 0.0) * sensor.electrons_per_radiance)
    noise = sensor.electronics_radiance * rng.standard_normal(radiance.shape)
    return electrons / sensor.electrons_per_radiance + noise


def counts(radiance: np.ndarray, gain: float, sensor: Sensor = SENSOR) -> np.ndarray:
    """Digital counts of the converter, uint16 in 0..2^adc_bits − 1, linear in radiance."""
    full_scale = 2**sensor.adc_bits - 1
    share = radiance / float(band_radiance(sensor.saturation_k))
    level = sensor.adc_pedestal + (1 - sensor.adc_pedestal) * gain * share
    return np.rint(full_scale * np.clip(level, 0.0, 1.0)).astype(np.uint16)


def gain_control(radiance: np.ndarray, recording: Recording, sensor: Sensor = SENSOR) -> np.ndarray:
    """8-bit video, monotonic in radiance: air at a dark grey, hot parts driven to white."""
    air = float(band_radiance(recording.weather.air_k))
    level = sensor.agc_level * recording.level
    level = level + sensor.agc_gain * recording.gain * (radiance - air)
    return np.rint(255 * np.clip(level, 0.0, 1.0)).astype(np.uint8)
