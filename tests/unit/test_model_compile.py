"""Compiled packages: results equal to eager ones at many lengths, and the folder that C opens."""

import json
import shutil
import subprocess
import sys
import time

import pytest
import tiny
import torch
from test_model import save, tiny_model

from ishowtts.errors import ModelError
from ishowtts.model import compile as packages
from ishowtts.model.checkpoint import load_model
from ishowtts.model.compile import check_compiler, compile_graph, compile_model, examples, is_current, package_dir
from ishowtts.model.graphs import build

needs_compiler = pytest.mark.skipif(check_compiler() is not None, reason=str(check_compiler()))
LENGTHS = (2, 3, 17, 300, 1000)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISHOWTTS_CACHE_DIR", str(tiny.PACKAGES))
        model = tiny.make(tmp_path_factory.mktemp("package") / "tiny")
        yield model, tiny.package(model)


@needs_compiler
@pytest.mark.timeout(900)
def test_package_is_complete_and_current(package):
    model, folder = package
    assert folder == package_dir(model, "fp32") and is_current(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["graphs"]) == {"encode", "modulate", "step", "vocode", "durations"}
    for graph in manifest["graphs"].values():
        assert (folder / graph["library"]).is_file() and (folder / graph["weights"]).is_dir()
    assert manifest["torch"] == torch.__version__ and manifest["content_hash"] == load_model(model).content_hash
    until = time.monotonic() + 300  # another test process may be making the same package
    while left := list(folder.parent.glob(f".{folder.name}*")):
        assert time.monotonic() < until, f"something temporary was left behind: {left}"
        time.sleep(0.5)


@needs_compiler
@pytest.mark.timeout(900)
@pytest.mark.parametrize("graph", ["encode", "modulate", "step", "vocode", "durations"])
def test_package_equals_eager(package, graph):
    model, folder = package
    loaded = load_model(model)
    manifest = json.loads((folder / "manifest.json").read_text())
    run = torch._C._aoti.AOTIModelContainerRunnerCpu(str(folder / manifest["graphs"][graph]["library"]), 1)
    eager = build(loaded)[graph]
    for frames in LENGTHS:
        given = examples(loaded.config, frames, max(2, frames // 4))[graph]
        expected, got = eager(*given), run.run(list(given))[0]
        assert got.shape == expected.shape
        assert float((got - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max())), frames


@needs_compiler
@pytest.mark.timeout(900)
@pytest.mark.parametrize("layout", ["padded", "average"])
def test_other_layouts_compile(layout, tmp_path):
    model = tiny_model(layout)
    archive = compile_graph("encode", build(model)["encode"], model.config, tmp_path / "encode.pt2")
    run = torch._inductor.aoti_load_package(str(archive))
    for frames in LENGTHS:
        given = examples(model.config, frames, 0)["encode"]
        assert torch.allclose(run(*given), build(model)["encode"](*given), atol=1e-5)


@needs_compiler
@pytest.mark.timeout(900)
@pytest.mark.parametrize("graph", ["modulate", "step"])
def test_a_u_net_compiles(graph, tmp_path):
    """The graphs in which it differs from a DiT."""
    model = tiny_model("padded", backbone="unett")
    archive = compile_graph(graph, build(model)[graph], model.config, tmp_path / "graph.pt2")
    run = torch._inductor.aoti_load_package(str(archive))
    for frames in LENGTHS:
        given = examples(model.config, frames, 0)[graph]
        assert torch.allclose(run(*given), build(model)[graph](*given), atol=1e-4)


@needs_compiler
@pytest.mark.timeout(900)
def test_embedded_guidance_compiles(tmp_path):
    model = tiny_model("aligned", guidance_max=4.0)
    archive = compile_graph("modulate", build(model)["modulate"], model.config, tmp_path / "modulate.pt2")
    run = torch._inductor.aoti_load_package(str(archive))
    for times in LENGTHS:
        given = examples(model.config, times, 0)["modulate"]
        assert len(given) == 2
        assert torch.allclose(run(*given), build(model)["modulate"](*given), atol=1e-5)


@needs_compiler
@pytest.mark.timeout(900)
def test_package_goes_stale(package, monkeypatch):
    model, folder = package
    assert package_dir(model, "bf16") != folder
    for name in ("torch_version", "source_hash"):
        with monkeypatch.context() as patch:
            patch.setattr(packages, name, lambda: "another")
            assert not is_current(folder) and package_dir(model, "fp32") != folder
    with monkeypatch.context() as patch:
        patch.setattr(packages, "cpu_flags", lambda: ["avx2"])
        assert not is_current(folder)
    assert is_current(folder)


@needs_compiler
@pytest.mark.timeout(900)
def test_a_damaged_package_is_not_loaded(package, tmp_path):
    """A library that is cut off, changed or missing is compiled again, since loading it would end the process."""
    whole = package[1]
    manifest = json.loads((whole / "manifest.json").read_text())
    library = manifest["graphs"]["step"]["library"]
    other = next(name for name in manifest["files"] if name != library)

    def truncate(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def change(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    for name in (library, other):
        for damage in (truncate, change, lambda path: path.unlink(), lambda path: path.write_bytes(b"")):
            folder = tmp_path / "copy"
            shutil.copytree(whole, folder)
            assert is_current(folder)
            damage(folder / name)
            assert not is_current(folder), (name, damage)
            shutil.rmtree(folder)
    del manifest["files"][library]
    shutil.copytree(whole, folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert not is_current(folder), "a library without a digest"


@pytest.mark.parametrize(("faster", "auto"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_the_faster_precision(monkeypatch, faster, auto):
    monkeypatch.setattr(packages, "multiplies_bf16", lambda: faster)
    assert packages.settled(None) == packages.settled("auto") == auto
    assert packages.settled("int8-dynamic") == "int8-dynamic"


def test_a_missing_package_is_not_current(tmp_path):
    assert not is_current(tmp_path)
    for text in ("", "[]", "{}", '{"format": 1}', '"x"'):
        (tmp_path / "manifest.json").write_text(text)
        assert not is_current(tmp_path)


def test_missing_compiler_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    assert "There is no C++ compiler (/nonexistent/g++)" in check_compiler()
    with pytest.raises(ModelError, match="There is no C"):
        compile_model(save(tiny_model(), tmp_path / "m"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("CXX", "false")
    assert "fails" in check_compiler()


def test_command_fails_with_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts.model.compile", "/nonexistent"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.strip() == "There is no model /nonexistent: give a folder, a checkpoint file, or one of demo, " \
        "F5TTS_v1_Base, F5TTS_Base, E2TTS_Base."  # fmt: skip
    probe = "import sys, ishowtts.model.compile; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], timeout=60).returncode == 0, "torch was imported"
