"""Checkpoints: every format gives the same tensors; every hostile file is one error in one line."""

import io
import itertools
import json
import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from initcore import checkpoint
from initcore.checkpoint import MAX_TENSORS, PIECE, entries, in_pieces
from initcore.errors import InitError


def tensors():
    g = torch.Generator().manual_seed(0)
    return {
        "layers.0.weight": torch.randn(6, 4, generator=g),
        "layers.0.bias": torch.randn(6, generator=g),
        "layers.1.weight": torch.randn(3, 5, 2, generator=g).bfloat16(),
        "half": torch.randn(7, generator=g).half(),
        "double": torch.randn(2, 2, generator=g).double(),
        "scalar": torch.tensor(1.5),
        "none": torch.empty(0, 3),
        "steps": torch.arange(3),
        "mask": torch.tensor([True, False]),
        "eighth": torch.ones(4).to(torch.float8_e4m3fn),
        "wave": torch.ones(2, dtype=torch.complex64),
    }


MEASURED = ("float32", "float64", "bfloat16", "float16")


def assert_entries(found, expected):
    assert {e.name: (e.shape, e.dtype) for e in found} == {
        name: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in expected.items()
    }
    for entry in found:
        tensor = expected[entry.name]
        if entry.dtype not in MEASURED or not tensor.numel():
            assert entry.values is None
            assert entry.note
            continue
        assert entry.note == ""
        flat = tensor.reshape(-1)
        assert torch.equal(entry.values.read(0, entry.count), flat)
        half = entry.count // 2
        part = entry.values.part(half, entry.count)
        assert torch.equal(part.read(0, entry.count - half), flat[half:])
        again = pickle.loads(pickle.dumps(part))
        assert torch.equal(again.read(0, entry.count - half), flat[half:])


# --- formats ------------------------------------------------------------------------------------


def test_a_state_dict():
    assert_entries(entries(tensors()), tensors())


def test_a_modules_parameters_then_buffers():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    found = entries(module)
    assert_entries(found, dict(module.named_parameters()) | dict(module.named_buffers()))
    assert found[-1].name == "1.num_batches_tracked"


def test_safetensors(tmp_path):
    save_file(tensors(), tmp_path / "model.safetensors")
    assert_entries(entries(tmp_path / "model.safetensors"), tensors())
    assert_entries(entries(str(tmp_path / "model.safetensors")), tensors())


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "rng": torch.zeros(5, dtype=torch.uint8)},
        lambda state: {"model": state, "optimizer": {"state": {0: {"m": torch.ones(3)}}}},
        lambda state: {"model": {"module": state}},
        lambda state: {name: nn.Parameter(t, False) for name, t in state.items()},
    ],
)
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin"])
def test_torch_files(tmp_path, wrapped, name):
    torch.save(wrapped(tensors()), tmp_path / name)
    assert_entries(entries(tmp_path / name), tensors())


def test_names_of_nested_dicts_are_joined(tmp_path):
    state = {"encoder": {"weight": torch.ones(2, 2)}, "decoder": {"weight": torch.ones(2, 3)}}
    torch.save({"state_dict": state}, tmp_path / "model.pt")
    names = [entry.name for entry in entries(tmp_path / "model.pt")]
    assert names == ["encoder.weight", "decoder.weight"] == [e.name for e in entries(state)]


def test_prefixes_stay_in_names():
    assert entries(nn.DataParallel(nn.Linear(2, 3)))[0].name == "module.weight"


def test_views_of_one_storage(tmp_path):
    base = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    state = {
        "base": base,
        "transposed": base.t(),
        "rows": base[2:4],
        "columns": base[:, 1:3],
        "spread": base[:1].expand(3, 5),
    }
    torch.save(state, tmp_path / "views.pt")
    for found in (entries(tmp_path / "views.pt"), entries(state)):
        assert_entries(found, state)
        memory = {entry.name: entry.memory for entry in found}
        assert len(set(memory.values())) == len(state)


@pytest.mark.parametrize("where", ["module", "dict", "file"])
def test_tied_tensors_share_their_memory_key(tmp_path, where):
    module = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    module["head"].weight = module["embed"].weight
    torch.save(module.state_dict(), tmp_path / "tied.pt")
    source = {"module": module, "dict": module.state_dict(), "file": tmp_path / "tied.pt"}[where]
    embed, head = entries(source)
    assert (embed.name, head.name) == ("embed.weight", "head.weight")
    assert embed.memory == head.memory


def shards(folder, kind="safetensors"):
    state = tensors()
    names = list(state)
    weight_map = {}
    for part in range(3):
        name = f"model-{part + 1:05}-of-00003.{kind}"
        own = {key: state[key] for key in names[part::3]}
        save_file(own, folder / name) if kind == "safetensors" else torch.save(own, folder / name)
        weight_map |= dict.fromkeys(own, name)
    return weight_map


@pytest.mark.parametrize("kind", ["safetensors", "bin", "pt"])
@pytest.mark.parametrize("indexed", [True, False])
def test_folders_of_shards(tmp_path, kind, indexed):
    weight_map = shards(tmp_path, kind)
    (tmp_path / "config.txt").write_text("{}")
    index = tmp_path / f"model.{kind}.index.json"
    if indexed:
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
        assert_entries(entries(index), tensors())
    assert_entries(entries(tmp_path), tensors())


def test_safetensors_come_before_pickles(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    torch.save({"b": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert [entry.name for entry in entries(tmp_path)] == ["a"]


def test_pieces_are_whole_rows_that_cover_the_tensor():
    for shape in ((3,), (1000, 1000), (PIECE + 5,), (7, PIECE - 1), (3, PIECE + 1), (9000, 3000)):
        entry = checkpoint.Entry("w", shape, "float32", None)
        pieces = list(in_pieces(entry))
        assert pieces[0][0] == 0
        assert pieces[-1][1] == entry.count
        assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
        assert all(0 < stop - start <= PIECE for start, stop in pieces)
        row = entry.count // shape[0]
        if row <= PIECE:
            assert all(start % row == 0 for start, _ in pieces)


# --- what cannot be audited ---------------------------------------------------------------------


def refused(source, match=""):
    """The one line that the source is refused with."""
    with pytest.raises(InitError, match=match) as error:
        entries(source)
    assert error.value.__cause__ is None
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


def test_modules_without_values():
    refused(nn.LazyLinear(3), "first forward pass")
    refused(nn.Sequential(), "holds no tensors")
    [weight, _] = entries(nn.Linear(2, 2, device="meta"))
    assert "meta" in weight.note


@pytest.mark.parametrize("source", [None, 3, [torch.ones(2)], torch.ones(2)])
def test_other_sources(source):
    refused(source, "give a module, a state dict, or the path")


def test_paths_that_lead_nowhere(tmp_path):
    refused(tmp_path / "none.safetensors", "No such file")
    refused(tmp_path, "holds no .safetensors")
    (tmp_path / "a.index.json").write_text("{}")
    refused(tmp_path, "no weight_map")
    (tmp_path / "b.index.json").write_text("{}")
    refused(tmp_path, "several indexes")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin", ""])
@pytest.mark.parametrize(
    "content", [b"", b"hello, I am text\n" * 40, b"\0" * 100, b"\xff" * 100, b"PK\x03\x04", b"{}"]
)
def test_files_that_are_none(tmp_path, suffix, content):
    (tmp_path / f"file{suffix}").write_bytes(content)
    refused(tmp_path / f"file{suffix}", re.escape(f"file{suffix}"))


def header_file(tmp_path, header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "lying.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def tensor_at(start, stop, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("header", "size", "match"),
    [
        ({"a": tensor_at(0, 8)}, 4, "cut short or damaged"),
        ({"a": tensor_at(0, 8)}, 12, "cut short or damaged"),
        ({"a": tensor_at(0, 8), "b": tensor_at(4, 12)}, 12, "overlap"),
        ({"a": tensor_at(0, 8), "b": tensor_at(0, 8)}, 8, "overlap"),
        ({"a": tensor_at(0, 8), "b": tensor_at(12, 20)}, 20, "gap"),
        ({"a": tensor_at(0, 12)}, 12, "does not fill"),
        ({"a": tensor_at(0, 8, (2**40, 2**40))}, 8, "does not fill"),
        ({"a": tensor_at(8, 0)}, 8, "does not fill"),
        ({"a": tensor_at(-8, 0)}, 8, "no whole numbers"),
        ({"a": tensor_at(0, 8, (-2,))}, 8, "no whole numbers"),
        ({"a": tensor_at(0, 8, (2.0,))}, 8, "no whole numbers"),
        ({"a": tensor_at(0, 8, (True, 2))}, 8, "no whole numbers"),
        ({"a": tensor_at(0, 2**70, (2**68,))}, 8, "no whole numbers"),
        ({"a": tensor_at(0, 8, (1,) * 80)}, 8, "80 dimensions"),
        ({"a": tensor_at(0, 8, dtype="F33")}, 8, "unknown dtype"),
        ({"a": tensor_at(0, 8, dtype=["F32"])}, 8, "unknown dtype"),
        ({"a": [1, 2]}, 8, "no dtype, shape"),
        ({"a": {"dtype": "F32"}}, 8, "no dtype, shape"),
        ({"a" * 5000: tensor_at(0, 8)}, 8, "name of 5,000"),
        ({}, 0, "no tensors"),
        ([], 0, "not a JSON object"),
        (b"{", 0, "not JSON"),
        (b'{"a": ' + b"[" * 50_000, 0, "not JSON"),
        (b"\xff\xfe{}", 0, "not JSON"),
    ],
)
def test_lying_safetensors_headers(tmp_path, header, size, match):
    refused(header_file(tmp_path, header, b"\0" * size), match)


def test_a_header_longer_than_the_file(tmp_path):
    refused(header_file(tmp_path, {"a": tensor_at(0, 8)}, length=2**63), "cut short")
    refused(header_file(tmp_path, b" " * (17 * 2**20)), "header of 17")


def test_names_that_stand_twice(tmp_path):
    one = json.dumps(tensor_at(0, 8))
    refused(header_file(tmp_path, f'{{"a": {one}, "a": {one}}}'.encode(), b"\0" * 8), "twice")
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "y.safetensors")
    (tmp_path / "lying.safetensors").unlink()
    refused(tmp_path, "'a' is in more than one file")


def test_a_hundred_thousand_tensors_are_refused_with_the_limit(tmp_path):
    count = 100_000
    assert count > MAX_TENSORS
    header = {f"{i}": tensor_at(4 * i, 4 * i + 4, (1,)) for i in range(count)}
    refused(header_file(tmp_path, header, b"\0" * (4 * count)), f"{MAX_TENSORS:,}")
    one = torch.ones(1)
    refused({f"{i}": one for i in range(count)}, f"{MAX_TENSORS:,}")


def test_too_many_records_of_a_torch_file(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_TENSORS", 200)
    torch.save({f"{i}": torch.ones(1) for i in range(400)}, tmp_path / "many.pt")
    refused(tmp_path / "many.pt", "more than 200 tensors")
    one = torch.ones(1)
    torch.save({f"{i}": one for i in range(400)}, tmp_path / "tied.pt")
    refused(tmp_path / "tied.pt", "more than 200 tensors")


@pytest.mark.parametrize(
    "target", ["../secret.safetensors", "/etc/passwd", "..", "", "a/b", "x\\y"]
)
def test_an_index_that_points_outside_its_folder(tmp_path, target):
    save_file({"a": torch.ones(2)}, tmp_path / "secret.safetensors")
    folder = tmp_path / "model"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": target}}))
    refused(index, "outside its own folder")


@pytest.mark.parametrize(
    ("weight_map", "match"),
    [
        ({"a": "gone.safetensors"}, "not there"),
        ({"a": "model.safetensors.index.json"}, "not there"),
        ({"b": "one.safetensors"}, "'b' is in none"),
        ({"a": 3}, "not there"),
        ([], "no weight_map"),
    ],
)
def test_an_index_that_lies(tmp_path, weight_map, match):
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    refused(index, match)


def archive(tmp_path, records, compression=zipfile.ZIP_STORED, name="hostile.pt"):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", compression) as file:
        for record, content in records.items():
            file.writestr(record, content)
    return path


def saved(tmp_path, value):
    """The records of what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as file:
        return {name: file.read(name) for name in file.namelist()}


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_pickles_run_no_code(tmp_path):
    proof = tmp_path / "proof"
    for protocol in (2, 4):
        plain = tmp_path / "plain.pt"
        plain.write_bytes(pickle.dumps(Payload(proof), protocol=protocol))
        refused(plain, "is a pickle")
        records = {"m/data.pkl": pickle.dumps({"a": Payload(proof)}, protocol=protocol)}
        refused(archive(tmp_path, records | {"m/version": "3"}), "more than tensors|damaged")
    torch.save({"a": torch.ones(2), "more": Payload(proof)}, tmp_path / "nested.pt")
    refused(tmp_path / "nested.pt", "more than tensors")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    refused(tmp_path / "module.pt", "more than tensors")
    inner = {"a": torch.ones(2), "raw": pickle.dumps(Payload(proof))}
    torch.save(inner, tmp_path / "bytes.pt")
    refused(tmp_path / "bytes.pt", "more than tensors")
    assert not proof.exists()


# What torch.load itself would carry out, and take gigabytes for: a bytearray of 2 GB; bytes made
# longer and longer; sets, dicts and marks by the million, here on a smaller scale.
BOMBS = {
    "bytearray": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "encode": b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0hex\x86R.",
    "tensor": b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.",
    "sets": b"\x80\x02" + b"\x8f" * 200_000 + b".",
    "dicts": b"\x80\x02" + b"}" * 800_000 + b".",
    "marks": b"\x80\x02" + b"(" * 300_000 + b".",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_pickles_that_grow_are_refused_before_they_do(tmp_path, monkeypatch, bomb):
    monkeypatch.setattr(checkpoint, "MAX_INDEX", checkpoint.MAX_INDEX // 10)
    peak_before = peak_mb()
    path = archive(tmp_path, {"m/data.pkl": BOMBS[bomb], "m/version": "3", "m/byteorder": "little"})
    refused(path, "more than tensors|takes over")
    assert peak_mb() - peak_before < 100


def peak_mb():
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1000


def test_a_zip_bomb_is_not_opened(tmp_path):
    records = saved(tmp_path, {"a": torch.zeros(1000)})
    compressed = archive(tmp_path, records, zipfile.ZIP_DEFLATED)
    refused(compressed, "compressed")
    bomb = {"m/data.pkl": b"\0" * 50_000_000, "m/version": "3"}
    refused(archive(tmp_path, bomb, zipfile.ZIP_DEFLATED), "compressed")


def test_archives_that_torch_did_not_write(tmp_path):
    refused(archive(tmp_path, {"word/document.xml": "text"}), "none of torch.save")
    records = saved(tmp_path, {"a": torch.zeros(10)})
    root = next(iter(records)).partition("/")[0]
    refused(archive(tmp_path, records | {f"{root}/constants.pkl": b""}), "TorchScript")
    refused(archive(tmp_path, records | {f"{root}/byteorder": b"big"}), "big-endian")
    whole = archive(tmp_path, records).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.pt", "damaged")
    (tmp_path / "comment.pt").write_bytes(whole[:-2] + b"\x05\0extra")
    refused(tmp_path / "comment.pt", "damaged")


def test_torch_files_whose_tensors_are_larger_than_their_records(tmp_path):
    records = saved(tmp_path, {"a": torch.zeros(10)})
    root = next(iter(records)).partition("/")[0]
    index = records[f"{root}/data.pkl"]
    # The number of values, a one-byte integer, in the storage and in the size of the tensor.
    assert index.count(b"K\x0a") == 2
    records[f"{root}/data.pkl"] = index.replace(b"K\x0a", b"J\0\0\0\x10")
    refused(archive(tmp_path, records), "reaches beyond")


@pytest.mark.parametrize("padding", range(4))
def test_numbers_that_do_not_lie_at_multiples_of_their_size(tmp_path, padding):
    values = torch.arange(5000, dtype=torch.float32)
    head = {"a": {"dtype": "F32", "shape": [5000], "data_offsets": [0, 20000]}}
    text = json.dumps(head).encode() + b" " * padding
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + values.numpy().tobytes())
    [entry] = entries(path)
    for start, stop in ((0, 5000), (0, 1), (17, 4100)):
        read = entry.values.read(start, stop)
        assert read.data_ptr() % 4 == 0
        assert torch.equal(read, values[start:stop])


def test_what_is_done_to_values_is_not_done_to_their_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(1000)}, path)
    [entry] = entries(path)
    entry.values.read(0, 1000).zero_()
    assert entry.values.read(0, 1000).min() == 1


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(1000)}, path)
    [entry] = entries(path)
    with open(path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InitError, match="became shorter"):
        entry.values.read(0, 1000)
    path.unlink()
    with pytest.raises(InitError, match="No such file"):
        entry.values.read(0, 1000)


def test_hostile_names_are_escaped_in_messages(tmp_path):
    line = refused(header_file(tmp_path, {"\x1b[2J\n<script>": [1]}), "damaged")
    assert "\x1b" not in line
