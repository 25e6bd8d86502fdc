"""``initcore audit``: exit status, one JSON object, one line for unusable input, a real cluster."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from initcore.audit import audit
from initcore.cli import main

README = Path(__file__).parents[2] / "README.md"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def good(tmp_path):
    weights = {
        f"h.{i}.mlp.up_proj.weight": 0.02 * torch.randn(96, 64, generator=generator(i))
        for i in range(3)
    }
    save_file(weights, tmp_path / "good.safetensors")
    return tmp_path / "good.safetensors"


@pytest.fixture
def bad(tmp_path):
    weight = torch.randn(96, 64, generator=generator())
    save_file(
        {"h.0.mlp.up_proj.weight": weight, "h.1.mlp.up_proj.weight": weight.clone()},
        tmp_path / "bad.safetensors",
    )
    return tmp_path / "bad.safetensors"


def run(capsys, *arguments):
    status = main(["audit", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_exit_status_follows_the_findings(capsys, good, bad, tmp_path):
    status, out, err = run(capsys, good)
    assert (status, err) == (0, "")
    assert "Nothing amiss" in out
    status, out, _ = run(capsys, bad)
    assert status == 1
    for word in ("error [identical]", "tensors", "evidence", "mend", "h.1.mlp.up_proj.weight"):
        assert word in out
    torch.save(torch.nn.MultiheadAttention(32, 4).state_dict(), tmp_path / "attention.pt")
    assert run(capsys, tmp_path / "attention.pt")[0] == 0
    assert run(capsys, tmp_path / "attention.pt", "--fail-on", "warning")[0] == 1


def test_json_is_the_audit_and_nothing_else(capsys, bad):
    status, out, err = run(capsys, bad, "--recipe", "gpt2", "--json")
    assert (status, err) == (1, "")
    assert json.loads(out) == audit(bad, "gpt2").as_dict()


def test_recipe_files_against_and_html(capsys, good, bad, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[[rule]]\nrole = "mlp_in"\nlaw = "normal"\nstd = "0.02"\n')
    assert run(capsys, good, "--recipe", recipe)[0] == 0
    assert run(capsys, bad, "--recipe", recipe)[0] == 1
    status, out, _ = run(
        capsys, good, "--recipe", "auto", "--against", good, "--html", tmp_path / "a.html"
    )
    assert status == 0
    assert "equal to the checkpoint" in out
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.pt"],
        ["GOOD", "--recipe", "nobody"],
        ["GOOD", "--recipe", "none.toml"],
        ["GOOD", "--against", "nowhere.pt"],
        ["GOOD", "--fail-on", "info"],
        ["GOOD", "--html", "no/such/folder/a.html"],
        ["GOOD", "--more"],
        [],
    ],
)
def test_unusable_input_is_one_line(capsys, good, arguments):
    status, out, err = run(capsys, *(good if a == "GOOD" else a for a in arguments))
    assert (status, out) == (2, "")
    assert err.startswith("initcore: ")
    assert err.count("\n") == 1


def test_names_cannot_move_the_cursor(capsys, tmp_path):
    weight = torch.randn(30, 30, generator=generator())
    save_file({"a\x1b[2J\x07": weight, "b\r\n": weight.clone()}, tmp_path / "names.safetensors")
    _, out, _ = run(capsys, tmp_path / "names.safetensors")
    assert "a�[2J" in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out)


def test_a_scheduler_that_is_not_there(capsys, good, monkeypatch):
    status, out, err = run(capsys, good, "--scheduler", "nonsense://x")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "initcore[dask]" in run(capsys, good, "--scheduler", "tcp://127.0.0.1:1")[2]


# A worker process is killed when the first piece of work has been done; the tensors are many and
# small, so that most of the work is still to do.
CLUSTER = """
import json, os, signal, sys
from distributed import Client, LocalCluster
from initcore.audit import audit
from initcore.cli import main

if __name__ == "__main__":
    path = sys.argv[1]
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        victims = list(client.run(os.getpid).values())
        told = []

        def kill_one(share, now=""):
            if not told:
                os.kill(victims[0], signal.SIGKILL)
            told.append(share)

        result = audit(path, "auto", executor=client.get_executor(pure=False), progress=kill_one)
        after = list(client.run(os.getpid).values())
        assert victims[0] not in after, "it was killed"
        assert told[-1] == 1
        print(json.dumps(result.as_dict()))
        address = cluster.scheduler_address
        sys.exit(main(["audit", path, "--recipe", "auto", "--json", "--scheduler", address]))
"""


def test_a_cluster_that_loses_a_worker_gives_the_same_answer(tmp_path):
    state = {
        f"h.{i}.mlp.{part}.weight": 0.02 * torch.randn(64, 64, generator=generator(10 * i + k))
        for i in range(20)
        for k, part in enumerate(("up_proj", "down_proj"))
    }
    save_file(state, tmp_path / "model.safetensors")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    environment = os.environ | {"PYTHONPATH": str(README.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "model.safetensors"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = audit(tmp_path / "model.safetensors", "auto").as_dict()
    first, _, rest = done.stdout.partition("\n")
    assert json.loads(first) == expected
    assert json.loads(rest) == expected


def test_the_readmes_lines_for_ci_work_as_pasted(tmp_path, monkeypatch):
    section = README.read_text(encoding="utf-8").partition("## Audit a checkpoint in CI")[2]
    section = section.partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    [shell] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len((code + shell).strip().splitlines()) <= 10
    names = {}
    exec(code, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
    monkeypatch.chdir(tmp_path)
    for line in shell.strip().splitlines():
        python, option, *rest = shlex.split(line)
        assert python == "python"
        if option == "-c":
            exec(*rest, {})
        else:
            assert (option, rest[0]) == ("-m", "initcore")
            assert main(rest[1:]) == 0
    assert (tmp_path / "audit.html").exists()
