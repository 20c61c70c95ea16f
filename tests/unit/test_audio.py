"""The audio module of the C core against torch, librosa and soundfile; its buffers and errors."""

import gc
import io
import math
import threading
import weakref

import numpy as np
import pytest
import torch

from ishowtts import _audio

sf = pytest.importorskip("soundfile")
RATE = 24000


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * 0.1).astype(np.float32)


def voiced(seconds: float) -> np.ndarray:
    """A signal similar to speech: gliding harmonics with pauses and faint noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 30))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > -0.5) + 0.001 * noise(len(t))).astype(np.float32)


def torch_filters(sample_rate: int, n_fft: int, n_mels: int) -> torch.Tensor:
    """[n_fft // 2 + 1, n_mels] as torchaudio.functional.melscale_fbanks(norm=None, mel_scale="htk")."""
    top = sample_rate // 2
    hz = torch.linspace(0, top, n_fft // 2 + 1)
    mels = torch.linspace(0, 2595 * math.log10(1 + top / 700), n_mels + 2)
    points = 700 * (10 ** (mels / 2595) - 1)
    width, slopes = points.diff(), points[None] - hz[:, None]
    return torch.minimum(-slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]).clamp(min=0)


def torch_mel(samples, sample_rate=RATE, n_fft=1024, hop=256, n_mels=100, dtype=torch.float32) -> np.ndarray:
    x = torch.from_numpy(samples).to(dtype)
    window = torch.hann_window(n_fft, dtype=dtype)
    magnitude = torch.stft(x, n_fft, hop, n_fft, window, center=True, pad_mode="reflect", return_complex=True).abs()
    mel = magnitude.T @ torch_filters(sample_rate, n_fft, n_mels).to(dtype)
    return mel.clamp(min=1e-5).log().numpy()


@pytest.mark.parametrize("n", [513, 1024, 4097, 10 * RATE])
def test_mel_is_torchs(n: int) -> None:
    x = noise(n)
    mel = np.asarray(_audio.mel(x))
    assert mel.dtype == np.float32
    assert mel.shape == (n // 256 + 1, 100)
    np.testing.assert_allclose(mel, torch_mel(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options", [(16000, 400, 160, 80), (22050, 1024, 256, 80), (24000, 512, 99, 40), (44100, 2048, 512, 80)]
)
def test_mel_of_other_options_is_torchs(options: tuple[int, int, int, int]) -> None:
    x = noise(20000)
    np.testing.assert_allclose(np.asarray(_audio.mel(x, *options)), torch_mel(x, *options), rtol=0, atol=1e-4)


def test_mel_of_speech_is_as_exact_as_torchs() -> None:
    """Between harmonics float32 limits the precision: results are compared with the same mel in double precision."""
    x = voiced(4)
    exact = torch_mel(x, dtype=torch.float64)
    ours, theirs = np.abs(np.asarray(_audio.mel(x)) - exact).max(), np.abs(torch_mel(x) - exact).max()
    assert ours < max(2 * theirs, 1e-4)
    assert np.abs(np.asarray(_audio.mel(x)) - exact).mean() < 1e-5


@pytest.mark.parametrize(("n_fft", "hop", "frames"), [(1024, 256, 60), (1024, 256, 2), (512, 256, 9), (400, 100, 12)])
def test_istft_is_torchs(n_fft: int, hop: int, frames: int) -> None:
    generator = torch.Generator().manual_seed(1)
    spectrum = torch.randn(
        n_fft // 2 + 1, frames, dtype=torch.complex64, generator=generator
    )  # not the STFT of any signal
    expected = torch.istft(spectrum, n_fft, hop, n_fft, torch.hann_window(n_fft), center=True).numpy()
    ours = np.asarray(
        _audio.istft(spectrum.real.T.contiguous().numpy(), spectrum.imag.T.contiguous().numpy(), n_fft, hop)
    )
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_resample_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    x = noise(2 * 44100)
    for rate in (16000, 24000, 48000):
        ours = np.asarray(_audio.resample(x, 44100, rate))
        theirs = librosa.resample(x, orig_sr=44100, target_sr=rate, res_type="soxr_hq")
        n = min(len(ours), len(theirs))
        assert abs(len(ours) - len(theirs)) <= 1
        np.testing.assert_allclose(ours[:n], theirs[:n], rtol=0, atol=1e-4)


def test_resample_keeps_the_level_and_lets_no_alias_through() -> None:
    t = np.arange(48000) / 48000
    for hz, level in ((1000, 0.5), (9000, 0.5), (13000, 0.0), (20000, 0.0)):
        y = np.asarray(_audio.resample((0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32), 48000, RATE))
        spectrum = np.abs(np.fft.rfft(y[6000:18000] * np.hanning(12000))) / 3000
        assert len(y) == RATE
        assert abs(spectrum.max() - level) < (1e-3 if level else 1e-5)


@pytest.mark.parametrize(
    (
        "container",
        "subtype",
        "tolerance",
    ),  # soundfile has its own build of the codecs: lossy ones differ in the last bits
    [
        ("WAV", "PCM_16", 1e-7),
        ("WAV", "FLOAT", 1e-7),
        ("FLAC", "PCM_24", 1e-7),
        ("OGG", "VORBIS", 2e-3),
        ("OGG", "OPUS", 2e-3),
        ("MP3", "MPEG_LAYER_III", 2e-3),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_decode_agrees_with_soundfile(container: str, subtype: str, tolerance: float, channels: int) -> None:
    x = voiced(2)
    file = io.BytesIO()
    sf.write(file, np.stack([x] + [x[::-1]] * (channels - 1), axis=1), RATE, format=container, subtype=subtype)
    ours, rate = _audio.decode(file.getvalue())
    theirs, expected_rate = sf.read(io.BytesIO(file.getvalue()), dtype="float32", always_2d=True)
    assert rate == expected_rate
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(np.asarray(ours), np.clip(theirs.mean(axis=1), -1, 1), rtol=0, atol=tolerance)


def wav(seconds: float, rate: int = RATE, channels: int = 1) -> bytes:
    file = io.BytesIO()
    sf.write(file, np.zeros((round(seconds * rate), channels)) + 0.1, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "options", "status", "words"),
    [
        (b"", {}, "EFORMAT", "WAV, FLAC"),
        (b"not audio at all", {}, "EFORMAT", "WAV, FLAC"),
        (wav(0.5), {}, "ELIMIT", "0.50 s"),
        (wav(31), {}, "ELIMIT", "limit is 30 s"),
        (wav(2), {"max_seconds": 1.5}, "ELIMIT", "limit is 1.5 s"),
        (wav(2), {"max_bytes": 1000}, "ELIMIT", "limit is 1000"),
        (wav(2, channels=2), {"max_channels": 1}, "ELIMIT", "2 channels"),
        (wav(2, rate=4000), {}, "ELIMIT", "4000 Hz"),
    ],
)
def test_decode_refuses(data: bytes, options: dict, status: str, words: str) -> None:
    with pytest.raises(_audio.AudioError, match=words) as caught:
        _audio.decode(data, **options)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.status, caught.value.field) == (status, "audio")


def test_decode_limits_can_be_widened() -> None:
    samples, rate = _audio.decode(memoryview(wav(40)), max_seconds=60, min_seconds=0)
    assert (len(samples), rate) == (40 * RATE, RATE)


def test_wav_round_trip() -> None:
    x = np.clip(noise(RATE), -1, 1)
    data = _audio.encode(x, RATE)
    back, rate = sf.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(back, x, rtol=0, atol=0.5001 / 32768)


@pytest.mark.parametrize("name", ["wav", "flac", "opus", "mp3"])
def test_encode_and_stream(name: str) -> None:
    x = np.ascontiguousarray(voiced(2.0) / 2)
    for data in (_audio.encode(x, RATE, name, out_rate=16000), _stream(x, name)):
        samples, rate = _audio.decode(data)
        back = np.asarray(samples)
        assert rate == 16000
        assert 2.0 <= len(back) / rate < 2.2
        expected = np.asarray(_audio.resample(x, RATE, 16000))
        assert np.sqrt((back**2).mean()) == pytest.approx(np.sqrt((expected**2).mean()), rel=0.1)
    assert _audio.FORMATS[name].startswith("audio/")


def _stream(x: np.ndarray, name: str) -> bytes:
    encoder = _audio.Encoder(RATE, name, out_rate=16000)
    parts = [encoder.push(x[at : at + 5000]) for at in range(0, len(x), 5000)]
    assert len(parts[2]) > 0  # not all at the end
    end = encoder.push(last=True)
    assert (encoder.sample_rate, encoder.length) == (16000, round(len(x) * 16000 / RATE))
    with pytest.raises(_audio.AudioError, match="finished"):
        encoder.push(x)
    return b"".join(parts) + end


def test_pcm_is_bare() -> None:
    x = np.array([0, 0.5, -1, 1], np.float32)
    assert _audio.encode(x, RATE, "pcm") == np.array([0, 16384, -32768, 32767], "<i2").tobytes()


def test_level_trim_and_join() -> None:
    x = np.zeros(3 * RATE, np.float32)
    x[RATE // 2 : RATE] = x[2 * RATE : 5 * RATE // 2] = voiced(0.5)[: RATE // 2] + 0.2
    assert _audio.rms(x) == pytest.approx(float(np.sqrt((x.astype(np.float64) ** 2).mean())), rel=1e-6)
    assert _audio.speech_span(x, RATE, 1e-3, 0.1) == (RATE // 2 - RATE // 10, 5 * RATE // 2 + RATE // 10)
    before = x.copy()
    short = np.asarray(_audio.remove_silence(x, RATE, 0.3, 0.1))
    assert len(short) == RATE // 10 + RATE // 2 + 3 * RATE // 10 + RATE // 2 + RATE // 10
    np.testing.assert_array_equal(x, before)
    faults = _audio.check(short, RATE)
    assert faults["longest_silence"] == pytest.approx(0.3, abs=0.011)
    assert not faults["silent"] and faults["clipped"] == 0 and faults["non_finite"] == 0
    assert len(_audio.remove_silence(np.zeros(RATE, np.float32), RATE, 0.3, 0.1)) == 0
    assert np.asarray(_audio.remove_silence(np.zeros(RATE, np.float32), RATE, 0.3, 0.1)).shape == (0,)
    assert _audio.check(np.full(RATE, np.nan, np.float32), RATE)["non_finite"] == RATE
    assert _audio.check(np.zeros(0, np.float32), RATE)["silent"]

    a, b = noise(1000, 1), noise(800, 2)
    angle = (np.arange(300) + 0.5) * np.pi / 600
    expected = np.concatenate([a[:-300], a[-300:] * np.cos(angle) + b[:300] * np.sin(angle), b[300:]])
    np.testing.assert_allclose(np.asarray(_audio.cross_fade(a, b, 300)), expected, rtol=0, atol=1e-7)


def test_buffers_in() -> None:
    x = noise(2048)
    expected = np.asarray(_audio.mel(x))
    for same in (memoryview(x), bytearray(x.tobytes()), torch.from_numpy(x).numpy(), _audio.resample(x, RATE, RATE)):
        if isinstance(same, bytearray):
            same = memoryview(same).cast("f")
        np.testing.assert_array_equal(np.asarray(_audio.mel(same)), expected)
    for wrong in (x.astype(np.float64), x.astype(np.int16), x.tobytes(), x.astype(">f4"), [0.0, 1.0], None, "text"):
        with pytest.raises(TypeError, match="samples must be"):
            _audio.mel(wrong)
    for wrong, words in (
        (x[::2], "contiguous"),
        (x.reshape(2, -1), "1 dimension"),
        (np.float32(1).reshape(()), "1 dimension"),
    ):
        with pytest.raises(ValueError, match=words):
            _audio.mel(wrong)
    with pytest.raises(ValueError, match="2 dimensions"):
        _audio.istft(x, x)
    with pytest.raises(ValueError, match=r"\[frames, 513\]"):
        _audio.istft(x.reshape(-1, 512), x.reshape(-1, 512))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: _audio.mel(x[:512]),
        lambda x: _audio.mel(x, 24000, 1023),
        lambda x: _audio.mel(x, 24000, 1024, 0),
        lambda x: _audio.resample(x, 0, 24000),
        lambda x: _audio.istft(np.zeros((1, 513), np.float32), np.zeros((1, 513), np.float32)),
        lambda x: _audio.encode(x, 0),
        lambda x: _audio.encode(x, RATE, "aac"),
        lambda x: _audio.encode(x, RATE, "opus", out_rate=44100),
        lambda x: _audio.Encoder(RATE, "aac"),
        lambda x: _audio.Encoder(0, "wav"),
        lambda x: _audio.check(x, 0),
        lambda x: _audio.cross_fade(x, x, -1),
        lambda x: _audio.remove_silence(x, RATE, float("nan"), 0.1),
        lambda x: _audio.speech_span(x, -1, 0.0, 0.1),
        lambda x: _audio.decode(b"", max_seconds=float("nan")),
    ],
)
def test_refusals_are_value_errors(call) -> None:
    with pytest.raises(ValueError):
        call(noise(2048))


def test_arrays_own_their_memory() -> None:
    array = _audio.mel(noise(2048))
    assert len(array) == 9
    view = memoryview(array)
    assert (view.format, view.shape, view.c_contiguous) == ("f", (9, 100), True)
    view.release()
    wrapped = np.asarray(array)
    wrapped[0, 0] = 42  # writable, and shares the memory
    assert memoryview(array)[0, 0] == 42
    del array
    gc.collect()
    assert wrapped[0, 0] == 42
    with pytest.raises(TypeError):
        _audio.Array()
    with pytest.raises(TypeError):
        _audio.Array.extra = 1


def test_nothing_is_kept_alive() -> None:
    x = noise(4096)
    dead = weakref.ref(x)
    _audio.mel(x)
    _audio.cross_fade(x, x, 10)
    with pytest.raises(TypeError):
        _audio.cross_fade(x, None, 10)
    del x
    gc.collect()
    assert dead() is None


def test_threads_share_the_plan() -> None:
    x = noise(RATE)
    expected, results = np.asarray(_audio.mel(x)), []
    threads = [
        threading.Thread(target=lambda: results.extend(np.asarray(_audio.mel(x)) for _ in range(5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert all(np.array_equal(result, expected) for result in results)
