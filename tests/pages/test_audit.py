"""The Audit page: uploads that are hostile, built-in models, known bugs, tensors, downloads."""

import io
import json
import pickle
import re
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from initcore import audit
from initcore.bugs import BUGS, get_bug
from initcore.models import MODELS, build_model, get_model
from initcore.recipes import get_recipe
from ui import audits

SMALL = {"source": "model", "model": "gpt", "gpt.width": 32, "gpt.blocks": 2}
CODE = "application/octet-stream"


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch, tmp_path):
    """No audit of another test; temporary files in a folder that must be empty at the end."""
    audits.audits.clear()
    audits.close_ups.clear()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("init-explorer-*"))


@pytest.fixture
def send(open_page):
    """Upload files, by name; the page after its audit."""

    def send(files, query=None, at=None):
        at = at or open_page("audit", query)
        at.file_uploader[0].set_value([(name, data, CODE) for name, data in files.items()])
        at.run()
        assert not at.exception
        return at

    return send


@pytest.fixture
def said():
    """What stands on the page as markdown, without escapes."""
    return lambda at: re.sub(
        r"\\(.)", r"\1", "\n".join(m.value for m in [*at.title, *at.caption, *at.markdown])
    )


def state(**changes):
    """A small checkpoint with names of a GPT."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"h.{i}.mlp.{name}.weight": 0.02 * torch.randn(shape, generator=generator)
        for i in range(3)
        for name, shape in (("c_fc", (256, 64)), ("c_proj", (64, 256)))
    }
    return tensors | changes


# --- the empty page and the example -------------------------------------------------------------


def test_the_empty_page_says_what_it_does_and_leads_to_a_real_fault(open_page, press, said, charts):
    at = open_page("audit")
    assert not charts(at)
    assert "what was it initialised with" in said(at)
    assert "32 MB" in at.file_uploader[0].label
    press(at, "real bug")
    bug = get_bug(audits.EXAMPLE["bug"])
    assert bug.cause in said(at)
    assert bug.title in said(at)
    assert "depth" in charts(at)
    # The address leads there, too.
    assert bug.cause in said(open_page("audit", audits.EXAMPLE))


# --- models and bugs ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.slug)
def test_every_model_has_its_sizes_as_controls_and_is_audited(open_page, messages, said, model):
    at = open_page("audit", {"source": "model", "model": model.slug})
    assert {size.name for size in model.sizes} <= {box.label for box in at.number_input}
    assert get_recipe(model.recipe).title in said(at)
    assert not messages(at)
    names = list(dict(build_model(model.slug).state_dict()))
    assert set(names) <= set(at.selectbox(key="tensor").options)


def test_sizes_of_the_link_are_used_and_wrong_ones_explained(open_page, messages, said):
    at = open_page("audit", SMALL | {"seed": 3})
    parameters = sum(p.numel() for p in build_model("gpt", width=32, blocks=2).parameters())
    assert f"{parameters:,} parameters" in said(at)
    at.number_input(key="gpt.heads").set_value(5).run()
    assert "heads = 5" in messages(at)[0]
    at.number_input(key="gpt.heads").set_value(2).run()
    assert not messages(at)
    assert "at least 1" in messages(open_page("audit", SMALL | {"gpt.blocks": 0}))[0]


def one_of_each():
    """A bug without a recipe, with a built-in one, with its own, and one of loading."""
    kinds = {(type(bug.recipe), bug.against is None): bug for bug in reversed(BUGS)}
    return list(kinds.values())


@pytest.mark.parametrize("bug", one_of_each(), ids=lambda bug: bug.slug)
def test_a_known_bug_is_told_and_found(open_page, said, bug):
    at = open_page("audit", {"source": "bug", "bug": bug.slug})
    assert at.selectbox(key="bug").options == [bug.slug for bug in BUGS]
    for part in (bug.title, bug.story, *bug.threads, bug.cause, "Evidence:", "Mend:"):
        assert part in said(at)


# --- recipes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["suited", "auto", "none", "gpt2", "t5"])
def test_the_recipe_of_the_link_is_the_one(open_page, said, recipe):
    at = open_page("audit", SMALL | {"recipe": recipe})
    model = build_model("gpt", width=32, blocks=2)
    held = {"suited": get_model("gpt").recipe, "none": None}.get(recipe, recipe)
    assert audit(model, held).sentence in said(at)
    frames = [frame.value for frame in at.dataframe]
    assert any("recipe" in frame.columns for frame in frames) is (recipe == "auto")
    assert ("Marks: measured. Bars: the recipe's" in said(at)) is (recipe != "none")


def test_a_recipe_of_ones_own_is_pasted_or_uploaded(open_page, messages, said):
    at = open_page("audit", SMALL | {"recipe": "toml"})
    assert "Nothing amiss" in said(at)  # begins as the one the model has
    assert "No link holds" in said(at)
    at.text_area[0].set_value('[[rule]]\nrole = "mlp_out"\nlaw = "normal"\nstd = "1"').run()
    assert "too small" in said(at)
    at.text_area[0].set_value('[[rule]]\nrole = "nose"\nlaw = "normal"\nstd = "1"').run()
    assert "nose" in messages(at)[0]
    at.text_area[0].set_value("no = [toml").run()
    assert len(messages(at)) == 1
    file = b'title = "Mine"\n[[rule]]\nrole = "mlp_out"\nlaw = "zeros"\n'
    at.file_uploader[0].upload("mine.toml", file).run()
    assert "Mine" in said(at)
    at.file_uploader[0].upload("mine.toml", b"\xff\xfe").run()
    assert "no text" in messages(at)[0]
    at.selectbox(key="recipe").select("none").run()
    assert not messages(at)


# --- uploads ------------------------------------------------------------------------------------


def shards():
    """A checkpoint in two files and their index."""
    whole = state()
    parts = [dict(list(whole.items())[:3]), dict(list(whole.items())[3:])]
    names = ["model-1.safetensors", "model-2.safetensors"]
    index = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    files = {name: save(part) for name, part in zip(names, parts, strict=True)}
    return files | {"model.safetensors.index.json": json.dumps({"weight_map": index}).encode()}


def torch_saved(saved):
    file = io.BytesIO()
    torch.save(saved, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "files",
    [
        {"model.safetensors": save(state())},
        {"model.pt": torch_saved(state())},
        {"model.pth": torch_saved({"epoch": 3, "state_dict": state()})},
        shards(),
    ],
    ids=["safetensors", "pt", "nested pth", "shards"],
)
def test_a_checkpoint_in_any_form_is_audited(send, said, charts, files):
    at = send(files, {"recipe": "gpt2"})
    assert audit(state(), "gpt2").sentence in said(at)
    at.selectbox(key="tensor").select("h.1.mlp.c_fc.weight").run()
    assert not at.exception
    assert {"depth", "values", "matrix", "singular-values"} == charts(at).keys()
    assert "inferred" in said(at)


def evil():
    """A pickle that would run code."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (Path(tempfile.gettempdir()) / "init-explorer-owned",)

    return Evil()


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**7)
    return file.getvalue()


HOSTILE = {
    "an empty file": {"a.safetensors": b""},
    "a text": {"a.safetensors": b"Dear reader, this is no checkpoint at all."},
    "a text as pt": {"a.pt": b"Dear reader, this is no checkpoint at all."},
    "cut short": {"a.safetensors": save(state())[:-100]},
    "a lying header": {"a.safetensors": (2**40).to_bytes(8, "little") + b"{}"},
    "a pickle": {"a.pt": pickle.dumps(evil())},
    "a pickle in a zip": {"a.pt": torch_saved({"w": evil()})},
    "a zip bomb": {"a.pt": bomb()},
    "no tensors": {"a.safetensors": save({})},
    "two of one name": {"a.safetensors": save(state()), "model.safetensors": save(state())},
    "an index alone": {"a.index.json": b'{"weight_map": {"w": "b.safetensors"}}'},
    "an index to elsewhere": {"a.index.json": b'{"weight_map": {"w": "../../etc/passwd"}}'},
    "a path for a name": {"../a.safetensors": save(state())},
    "a picture for a name": {"![x](http:a).safetensors": save(state())},
}


@pytest.mark.parametrize("files", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_gets_one_line_and_the_page_goes_on(send, said, messages, files):
    at = send(files)
    [message] = messages(at)
    assert "\n" not in message
    assert tempfile.gettempdir() not in message
    assert not re.search(r"(?<!\\)!\[", message)
    at = send({"fine.safetensors": save(state())}, at=at)
    assert not messages(at)
    assert "fine.safetensors" in said(at)


def test_names_of_tensors_are_shown_as_they_are_and_never_as_markup(send):
    name = "![x](http://a.example/p.png)<img src=x>`$e$`:red[w]"
    at = send({"a.safetensors": save({name: torch.full((8, 8), 0.5), "w": torch.ones(3, 3)})})
    at.selectbox(key="tensor").select(name).run()
    assert not at.exception
    for one in at.markdown:
        bare = re.sub(r"\\.", "", re.sub(r"`[^`]*`", "", one.value))
        assert "![" not in bare
        assert "<img" not in bare
        assert "$" not in bare


def test_too_much_is_refused_with_the_setting_and_the_way_out(send, messages, monkeypatch):
    monkeypatch.setattr(audits.st, "get_option", lambda name: 0.1)
    [message] = messages(send({"a.safetensors": save(state())}))
    assert "maxUploadSize" in message
    assert "initcore audit" in message
    monkeypatch.undo()
    monkeypatch.setattr(audits, "MOST_TENSORS", 5)
    assert "6 tensors" in messages(send({"a.safetensors": save(state())}))[0]


def test_an_upload_is_kept_by_its_content_alone_and_its_audit_by_recipe(send, said, monkeypatch):
    made = []
    monkeypatch.setattr(
        audits, "audit", lambda *args, **more: made.append(args) or audit(*args, **more)
    )
    first = send({"mine.safetensors": save(state())}, {"recipe": "gpt2"})
    first.text_input(key="find").set_value("c_proj").run()
    assert len(made) == 1
    first.selectbox(key="recipe").select("none").run()
    assert len(made) == 2
    # Other content under the same name is another upload.
    other = state()
    other["h.0.mlp.c_fc.weight"] = other["h.0.mlp.c_fc.weight"] * 3
    second = send({"mine.safetensors": save(other)}, {"recipe": "gpt2"})
    assert len(made) == 3
    assert said(first) != said(second)
    # Nothing that is kept holds a tensor, a file or where it lay.
    text = repr(audits.audits._items)
    assert "init-explorer" not in text
    assert "mine.safetensors" not in repr(list(audits.audits._items.values()))
    for kept in audits.audits._items.values():
        assert all(row.study.entry.values is None for row in kept.tensors)


def test_a_failed_audit_leaves_the_way_free_for_the_next(send, messages):
    assert messages(send({"a.safetensors": b"no"}))
    assert not audits.audits.turn.locked()
    send({"a.safetensors": save(state())})
    assert not audits.audits.turn.locked()


# --- tensors ------------------------------------------------------------------------------------


def tensors_of(at):
    return next(frame.value for frame in at.dataframe if "tensor" in frame.value.columns)


def test_the_table_is_the_librarys_and_can_be_filtered(open_page):
    at = open_page("audit", SMALL | {"recipe": "gpt2"})
    made = audit(build_model("gpt", width=32, blocks=2), "gpt2")
    frame = tensors_of(at)
    assert list(frame["tensor"]) == [row.name for row in made.tensors]
    assert list(frame["std"]) == [row.study.measurement.std for row in made.tensors]
    graved = {name for one in made.findings if one.severity == "error" for name in one.tensors}
    assert set(frame["tensor"][frame["worst"] == "error"]) == graved
    at.selectbox(key="severity").select("error").run()
    assert set(tensors_of(at)["tensor"]) == graved
    at.selectbox(key="severity").select("all").run()
    at.text_input(key="find").set_value("mlp.C_PROJ").run()
    names = set(tensors_of(at)["tensor"])
    assert names == {row.name for row in made.tensors if "mlp.c_proj" in row.name}
    at.text_input(key="find").set_value("no such").run()
    assert at.info
    linked = open_page("audit", SMALL | {"find": "wte"})
    assert list(tensors_of(linked)["tensor"]) == ["transformer.wte.weight"]


def test_a_tensor_is_opened_by_the_link_the_list_or_its_row(open_page, charts, said):
    name = "transformer.h.1.attn.c_attn.weight"
    at = open_page("audit", SMALL | {"tensor": name})
    shown = charts(at)
    assert {"values", "matrix", "singular-values"} < shown.keys()
    assert "96 × 32" in shown["matrix"].alt
    parts = next(frame.value for frame in at.dataframe if "part" in frame.value.columns)
    assert list(parts["part"]) == ["q", "k", "v"]
    # Another model has no such tensor: it is closed, and nothing breaks.
    at.selectbox(key="model").select("mlp").run()
    assert not at.exception
    assert at.selectbox(key="tensor").value is None
    at.selectbox(key="tensor").select("head.bias").run()
    assert "singular-values" not in charts(at)
    assert "by its module" in said(at)


def test_a_tensor_without_finite_values_is_described_and_not_drawn(send, charts, said):
    nan, none = torch.full((4, 4), torch.nan), torch.zeros(0, 3)
    whole = state(w=nan, n=torch.arange(9).reshape(3, 3), none=none)
    at = send({"a.safetensors": save(whole)})
    for name in ("w", "none", "n"):
        at.selectbox(key="tensor").select(name).run()
        assert not at.exception
        assert "values" not in charts(at)
    assert "int64 is not measured" in said(at)


# --- downloads ----------------------------------------------------------------------------------


def test_there_are_four_files_and_no_test_without_a_recipe(open_page):
    at = open_page("audit", SMALL)
    buttons = {button.label: button for button in at.get("download_button")}
    assert len(buttons) == 4
    assert not any(button.proto.disabled for button in buttons.values())
    at.selectbox(key="recipe").select("none").run()
    off = [button.label for button in at.get("download_button") if button.proto.disabled]
    assert off == ["Test (pytest)"]


@pytest.mark.parametrize(
    "what",
    [
        audits.BuiltIn("gpt", (("width", 32), ("blocks", 2)), 3),
        audits.Known("depth_scaling_lost", 1),
    ],
    ids=["model", "bug"],
)
def test_the_code_of_a_subject_gives_its_very_tensors(what):
    expression, *imports = what.code
    names = {}
    exec("\n".join(imports), names)
    again = eval(expression, names)
    with what.opened() as (source, _):
        for one, other in zip(tensors(source), tensors(again), strict=True):
            assert torch.equal(one, other)


def tensors(source):
    return list(source.values() if isinstance(source, dict) else source.state_dict().values())


# --- many visitors ------------------------------------------------------------------------------
