"""Each measure agrees with a published implementation on ten clips, and ranks degradations."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sentences import SENTENCES, changed

from ishowtts import IshowError, extras
from ishowtts.quality import aligned, intelligibility, listeners, loudness, mos, similarity, timbre
from ishowtts.quality.clips import Clip


def noisy(clip: Clip, snr: float) -> Clip:
    noise = np.random.default_rng(0).standard_normal(len(clip.samples))
    return changed(clip, clip.samples + noise * np.sqrt((clip.samples**2).mean()) * 10 ** (-snr / 20))


def clipping(clip: Clip, part: float) -> Clip:
    most = part * np.abs(clip.samples).max()
    return changed(clip, np.clip(clip.samples, -most, most))


def muffled(clip: Clip, hz: float) -> Clip:
    from scipy.signal import butter, sosfiltfilt

    return changed(clip, sosfiltfilt(butter(6, hz, fs=clip.rate, output="sos"), clip.samples))


DEGRADED: dict[str, tuple[Callable[[Clip, float], Clip], tuple[float, float, float]]] = {
    "noise": (noisy, (25, 15, 5)),
    "clipping": (clipping, (0.5, 0.25, 0.1)),
    "muffled": (muffled, (3000, 1500, 700)),
}


# ---- intelligibility -------------------------------------------------------------------------------------------------


def test_error_rates_are_jiwers() -> None:
    jiwer = pytest.importorskip("jiwer")
    rng = np.random.default_rng(1)
    for text in (*SENTENCES, "one"):
        words = text.split()
        words = [word for word in words if rng.random() > 0.2] + ["extra"] * int(rng.integers(3))
        heard = intelligibility.units(" ".join(rng.permutation(words)), "en").characters
        expected = intelligibility.units(text, "en").characters
        word, character = intelligibility.errors(text, heard, "en")
        assert word == pytest.approx(jiwer.wer(expected, heard))
        assert character == pytest.approx(jiwer.cer(expected, heard))
    assert math.isnan(intelligibility.errors("...", "something")[0])


def test_noise_is_understood_less(spoken: list[Clip]) -> None:
    listen = listeners.listener("pocketsphinx")

    def rate(clips: list[Clip]) -> float:
        heard = [listen(clip.samples, clip.rate, "en") for clip in clips]
        return float(
            np.mean([intelligibility.errors(c.text or "", h, "en")[0] for c, h in zip(clips, heard, strict=True)])
        )

    some = spoken[:4]
    assert rate(some) < 0.6 < rate([noisy(clip, -5) for clip in some])


# ---- voice -----------------------------------------------------------------------------------------------------------


def test_similarity_is_resemblyzers(ten: list[Clip], recording: Clip) -> None:
    resemblyzer = pytest.importorskip("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def embed(clip: Clip) -> np.ndarray:
        return encoder.embed_utterance(resemblyzer.preprocess_wav(clip.samples.copy(), source_sr=clip.rate))

    reference = embed(recording)
    for clip in ten:
        assert similarity.similarity(clip, recording) == pytest.approx(float(embed(clip) @ reference), abs=0.01)


def test_the_voice_is_its_own_and_not_another(ten: list[Clip], recording: Clip) -> None:
    pytest.importorskip("resemblyzer")
    # Played a third slower, a voice is another one: its pitch and its vocal tract change.
    other = [
        changed(clip, np.interp(np.arange(0, len(clip.samples), 0.75), np.arange(len(clip.samples)), clip.samples))
        for clip in ten[:4]
    ]
    same, different = similarity.distributions([ten[:4], other])
    assert len(same) == 12 and len(different) == 16
    assert same.mean() > different.mean() + 0.1
    assert similarity.similarity(recording, recording) == pytest.approx(1, abs=1e-5)
    assert similarity.similarity(changed(recording, np.zeros(16000)), recording) == 0


# ---- naturalness -----------------------------------------------------------------------------------------------------


def test_mos_is_distillmos(ten: list[Clip]) -> None:
    if not mos.available():
        pytest.skip("distillmos is not installed")
    librosa = pytest.importorskip("librosa")
    network = sys.modules["distillmos"].ConvTransformerSQAModel().eval()
    for clip in ten:
        wave = torch.from_numpy(librosa.resample(clip.samples, orig_sr=24000, target_sr=16000))
        with torch.inference_mode():
            assert mos.opinion(clip.samples, clip.rate) == pytest.approx(float(network(wave[None])), abs=0.01)


def test_dnsmos_is_speechmos(ten: list[Clip]) -> None:
    dnsmos, librosa = pytest.importorskip("speechmos.dnsmos"), pytest.importorskip("librosa")
    judge = mos.judge("dnsmos")
    opinions = []
    for clip in ten:
        # Clips of 2.4 s, shorter ones repeated: four of them fill the package's window of 9 s, and the length is a
        # whole number of samples at 16 kHz.
        samples = np.resize(clip.samples, 57600)
        wave = librosa.resample(samples, orig_sr=24000, target_sr=16000)
        opinions.append(dnsmos.run(wave.clip(-1, 1), 16000)["ovrl_mos"])
        assert judge(samples, clip.rate) == pytest.approx(opinions[-1], abs=0.01)
    assert np.ptp(opinions) > 0.1, "the clips differ, so agreement means something"


def test_degraded_speech_is_worse(recording: Clip, copy_synthesis: Clip) -> None:
    if not mos.available():
        pytest.skip("distillmos is not installed")

    def opinion(clip: Clip) -> float:
        return mos.opinion(clip.samples, clip.rate)

    real, copied = opinion(recording), opinion(copy_synthesis)
    for name, (degrade, strengths) in DEGRADED.items():
        opinions = [opinion(degrade(recording, strength)) for strength in strengths]
        assert real > opinions[0] > opinions[1] > opinions[2], (name, real, opinions)
        assert copied > opinions[2], (name, copied, opinions)


def test_utmos_is_any_torchscript(tmp_path, recording: Clip) -> None:  # type: ignore[no-untyped-def]
    class Level(torch.nn.Module):
        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return 1 + 4 * wave.abs().mean(dim=1)

    torch.jit.script(Level()).save(tmp_path / "judge.pt")
    expected = 1 + 4 * np.abs(recording.at(16000)).mean()
    assert mos.judge(f"utmos={tmp_path}/judge.pt")(recording.samples, recording.rate) == pytest.approx(
        expected, abs=1e-5
    )
    assert math.isnan(mos.judge(f"utmos={tmp_path}/judge.pt")(np.zeros(10, np.float32), 24000))
    (tmp_path / "text.pt").write_text("no model")
    for name, words in (
        ("utmos=/nowhere.pt", "no file /nowhere.pt"),
        (f"utmos={tmp_path}/text.pt", "not TorchScript"),
        ("best", "'best'"),
    ):
        with pytest.raises(IshowError, match=words):
            mos.judge(name)


# ---- pitch and timbre ------------------------------------------------------------------------------------------------


def test_pitch_is_librosas(ten: list[Clip]) -> None:
    librosa = pytest.importorskip("librosa")
    pooled = []
    for clip in ten:
        ours = timbre.f0(clip)
        theirs = librosa.yin(
            clip.samples.astype(np.float64),
            fmin=60,
            fmax=500,
            sr=24000,
            frame_length=2048,
            hop_length=256,
            trough_threshold=0.15,
        )
        n = min(len(ours), len(theirs))
        voiced = ours[:n] > 0
        assert 0.1 < voiced.mean() < 0.95
        cents = 1200 * np.abs(np.log2(ours[:n][voiced] / theirs[:n][voiced]))
        assert np.median(cents) < 25, clip
        pooled.append(cents)
    assert (np.concatenate(pooled) < 60).mean() > 0.85  # librosa's windows differ a little


def test_pitch_of_a_glide_and_of_noise() -> None:
    t = np.arange(48000) / 24000
    hz = 120 * 2 ** (t / 2)
    phase = 2 * np.pi * np.cumsum(hz) / 24000
    glide = Clip("glide", sum(np.sin(k * phase) / k for k in range(1, 8)).astype(np.float32) * 0.1, 24000)
    found = timbre.f0(glide)
    expected = hz[np.minimum(np.arange(len(found)) * 256, len(hz) - 1)]
    assert np.abs(1200 * np.log2(found[8:-8] / expected[8:-8])).max() < 30
    noise = Clip("noise", np.random.default_rng(0).standard_normal(24000).astype(np.float32) * 0.1, 24000)
    assert (timbre.f0(noise) > 0).mean() < 0.05
    assert (timbre.f0(Clip("nothing", np.zeros(24000, np.float32), 24000)) == 0).all()


def test_distortion_is_that_of_mel_cepstral_distance(ten: list[Clip]) -> None:
    package = pytest.importorskip("mel_cepstral_distance")
    from ishowtts import _audio

    def log_mel(clip: Clip) -> np.ndarray:
        return np.asarray(_audio.mel(clip.samples, 24000, 1024, 256, timbre.MELS), np.float64)

    # Frames of pure silence cost nothing on any way, so that its length would depend on the order of the search.
    noise = np.random.default_rng(0)
    ten = [changed(clip, clip.samples + 1e-4 * noise.standard_normal(len(clip.samples))) for clip in ten]
    for clip, other in zip(ten, ten[1:] + ten[:1], strict=True):
        theirs, _ = package.compare_mel_spectrograms(
            log_mel(clip), log_mel(other), s=0, D=timbre.CEPSTRA, align_target="mfcc", aligning="dtw", dtw_radius=None
        )
        scale = 10 / np.log(10) * np.sqrt(2) * 2 / timbre.MELS
        assert timbre.distortion(clip, other) == pytest.approx(theirs * scale, rel=0.02)


def test_warping_finds_the_way() -> None:
    rng = np.random.default_rng(0)
    b = rng.standard_normal((40, 3))
    index = np.sort(np.concatenate((np.arange(40), rng.integers(40, size=25))))
    rows, columns = timbre.warp(b[index], b)
    np.testing.assert_array_equal(columns, index[rows])
    assert rows[0] == columns[0] == 0 and rows[-1] == 64 and columns[-1] == 39


def test_pitch_and_timbre_errors_grow(recording: Clip) -> None:
    assert timbre.distortion(recording, recording) == 0
    assert timbre.f0_error(recording, recording) == 0
    opinions = [timbre.distortion(muffled(recording, hz), recording) for hz in (6000, 3000, 1500)]
    assert 0 < opinions[0] < opinions[1] < opinions[2]

    def pitched(factor: float) -> Clip:
        n = len(recording.samples)
        return changed(recording, np.interp(np.arange(0, n - 1, factor), np.arange(n), recording.samples))

    for factor in (1.05, 1.2):
        assert timbre.f0_error(pitched(factor), recording) == pytest.approx(1200 * np.log2(factor), rel=0.1)
    assert math.isnan(timbre.f0_error(changed(recording, np.zeros(24000)), recording))


# ---- aligned ---------------------------------------------------------------------------------------------------------


def test_pesq_and_stoi_are_the_packages(ten: list[Clip]) -> None:
    pesq, pystoi = pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    for clip in ten:
        worse = noisy(clip, 15)
        a, b = clip.at(16000), worse.at(16000)
        assert aligned.pesq(worse, clip) == pytest.approx(pesq.pesq(16000, a, b, "wb"), abs=1e-6)
        assert aligned.stoi(worse, clip) == pytest.approx(pystoi.stoi(a, b, 16000), abs=1e-6)


def test_stft_distance_is_torchs(ten: list[Clip]) -> None:
    for clip in ten:
        worse = noisy(clip, 15)
        total = 0.0
        for size, hop in aligned.RESOLUTIONS:
            a, b = (
                torch.stft(
                    torch.from_numpy(c.samples).double(),
                    size,
                    hop,
                    window=torch.hann_window(size, dtype=torch.float64),
                    return_complex=True,
                )
                .abs()
                .clamp(min=1e-7)
                for c in (worse, clip)
            )
            total += float((b - a).norm() / b.norm() + (a.log() - b.log()).abs().mean())
        assert aligned.stft_distance(worse, clip) == pytest.approx(total / 3, rel=1e-6)


def test_aligned_measures_are_in_order(recording: Clip, copy_synthesis: Clip) -> None:
    for name, (degrade, strengths) in DEGRADED.items():
        clips = [degrade(recording, strength) for strength in strengths]
        for measure, best in ((aligned.pesq, 4.64), (aligned.stoi, 1.0)):
            values = [measure(clip, recording) for clip in clips]
            assert best + 0.01 > values[0] > values[1] > values[2], (name, measure.__name__, values)
        distances = [aligned.stft_distance(clip, recording) for clip in clips]
        assert 0 < distances[0] < distances[1] < distances[2], (name, distances)
    assert aligned.pesq(recording, recording) > aligned.pesq(copy_synthesis, recording) > 1.5
    assert aligned.stft_distance(recording, recording) == 0


@pytest.mark.parametrize("lag", [-700, 0, 431])
def test_a_shifted_take_is_aligned(recording: Clip, lag: int) -> None:
    moved = changed(
        recording, np.concatenate((np.zeros(lag), recording.samples)) if lag > 0 else recording.samples[-lag:]
    )
    assert aligned.stft_distance(moved, recording) < 0.01
    assert aligned.pesq(moved, recording) > 4.4


def test_other_words_are_not_aligned(ten: list[Clip]) -> None:
    for measure in (aligned.pesq, aligned.stoi, aligned.stft_distance):
        assert math.isnan(measure(ten[1], ten[0])) and math.isnan(measure(changed(ten[0], np.zeros(100)), ten[0]))


# ---- loudness --------------------------------------------------------------------------------------------------------


def test_loudness_of_a_full_scale_tone() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(2 * 48000) / 48000).astype(np.float32)
    assert loudness.integrated(Clip("tone", tone, 48000)) == pytest.approx(-3.01, abs=0.06)  # ITU-R BS.1770
    assert loudness.integrated(Clip("tone", tone / 10, 48000)) == pytest.approx(-23.01, abs=0.06)
    assert loudness.integrated(Clip("nothing", np.zeros(48000, np.float32), 48000)) == -math.inf
    assert math.isnan(loudness.integrated(Clip("short", tone[:1000], 48000)))


def test_loudness_is_pyloudnorms(ten: list[Clip]) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    for clip in ten:
        meter = pyloudnorm.Meter(clip.rate)
        assert loudness.integrated(clip) == pytest.approx(
            meter.integrated_loudness(clip.samples.astype(np.float64)), abs=1e-6
        )


# ---- missing packages ------------------------------------------------------------------------------------------------


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, recording: Clip) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(extras.MissingPackage, match=r"^PESQ needs the package pesq: scripts/setup quality$") as raised:
        aligned.pesq(recording, recording)
    assert raised.value.status == "ENOTFOUND"
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(extras.MissingPackage, match="pip install transformers"):
        similarity.similarity(recording, recording, "wavlm=/tmp")
