"""The Dockerfile as text: images by digest, layers in order, nothing secret let in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ci.inside import places
from ci.stack import images

CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = (CHECKOUT / "Dockerfile").read_text()
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def stage(name: str) -> str:
    """Return one stage of the Dockerfile."""
    return re.split(r"(?m)^FROM ", TEXT.split(f" AS {name}\n")[1])[0]


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [program, "Dockerfile"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_base_is_a_build_argument_with_an_image_by_digest() -> None:
    bases = re.findall(r"(?m)^FROM (\S+)", TEXT)
    arguments = {f"${{{name}}}" for name in images.DOCKERFILE_ARGS}
    assert set(bases) == arguments | {"environment"}
    for image in images.DOCKERFILE_ARGS.values():
        assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)


def test_locks_come_before_wheels_and_code_comes_last() -> None:
    build = stage("environment")
    steps = ["pixi.lock", "pixi install --locked", "requirements.lock", "extras.py"]
    assert [build.index(step) for step in steps] == sorted(
        build.index(step) for step in steps
    )
    assert LINES[-1] == "COPY . ."
    assert re.findall(r"(?m)^COPY (?!--from)(.*)$", stage("runtime")) == [". ."]


def test_every_download_has_a_cache_and_every_wheel_a_hash() -> None:
    for command in re.findall(r"(?m)^RUN (.*(?:\\\n.*)*)", TEXT):
        if re.search(r"pixi install|uv pip|extras\.py", command):
            assert command.startswith("--mount=type=cache,")
    assert TEXT.count("uv pip install") == TEXT.count("--require-hashes") == 2
    assert "--excludes" in stage("environment")


def test_the_runtime_is_an_ordinary_user_with_everything_on_its_path() -> None:
    runtime = stage("runtime")
    assert f"USER {places.USER}" in runtime
    assert ":/app/.pixi/envs/etl/bin:$PATH" in runtime
    assert 'ENTRYPOINT ["/shell-hook.sh"]' in runtime
    assert "HEALTHCHECK" in runtime
    for folder in (places.RAW, places.PREFECT_HOME):
        assert folder in runtime
    assert f"WORKDIR {places.CODE}" in runtime


def test_the_context_is_an_allow_list_of_files_that_are_there() -> None:
    rules = [
        line
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    assert [name for name in allowed if not (CHECKOUT / name).exists()] == []
    assert not any("*" in name or name.startswith(".") for name in allowed)
    last_allowed = max(i for i, rule in enumerate(rules) if rule.startswith("!"))
    for secret in ("**/.env*", "**/*credentials*", "**/*.pem", "**/*.key"):
        assert rules.index(secret) > last_allowed, "it must win over the allow-list"
