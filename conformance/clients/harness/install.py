"""Gets clients from package registries, by name and fixed version, into a folder outside the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# A cold build of a large Go or Rust client on a slow machine.
INSTALL_SECONDS = 1500
# The file that says an installation came to its end.
COMPLETE = ".complete"


class InstallFault(Exception):
    """A client could not be had; the text says what is missing and what to do."""


class Installer:
    """Installs into `cache`; what is there already in the wanted version is used as it is."""

    def __init__(self, cache: Path, say=lambda text: None):
        self.cache = cache
        self.say = say
        cache.mkdir(parents=True, exist_ok=True)
        self.log = cache / "install.log"
        self._lists_are_fresh = False

    def run(self, *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """One installing command; its output goes to install.log and, on failure, its last line into the fault."""
        words = [str(word) for word in command]
        with self.log.open("a") as log:
            log.write(f"\n$ {' '.join(words)}\n")
        try:
            done = subprocess.run(
                words, cwd=cwd, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS,
            )
        except FileNotFoundError:
            raise InstallFault(f"{words[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise InstallFault(f"{words[0]} took more than {INSTALL_SECONDS} s") from None
        with self.log.open("a") as log:
            log.write(done.stdout)
        if done.returncode != 0:
            last = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "no output")
            raise InstallFault(f"{' '.join(words[:3])} ...: {last.strip()} (see {self.log})")
        return done.stdout

    def debian(self, program: str, *packages: str) -> str:
        """A program of Debian packages, found or installed with apt-get; the packages' version is returned.

        Only for packages that start no service. Installing needs root.
        """
        for package in packages:
            if not self._debian_version(package):
                self._apt_install(package)
        if not shutil.which(program):
            raise InstallFault(f"{program} is not on the PATH although {' '.join(packages)} is installed")
        return self._debian_version(packages[0])

    def need_tool(self, program: str, package: str) -> None:
        """A tool of any origin; Debian's package only where it is missing."""
        if not shutil.which(program):
            self._apt_install(package)

    def debian_unpacked(self, package: str, program: str) -> Path:
        """A Debian package unpacked in the cache: needs no root, starts no service, changes nothing on the system."""
        folder = self.cache / "debian" / package
        if not (folder / program).is_file():
            if not shutil.which("dpkg-deb"):
                raise InstallFault(f"Debian's {package} needs dpkg-deb and apt-get")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.say(f"fetching Debian's {package}")
            self._refresh_lists()
            self.run("apt-get", "download", "-q", package, cwd=folder)
            archive = next(folder.glob("*.deb"), None)
            if archive is None:
                raise InstallFault(f"apt-get download {package} gave no file")
            self.run("dpkg-deb", "-x", archive, folder)
        return folder / program

    def unpacked_version(self, package: str) -> str:
        """The version of a package that `debian_unpacked` fetched."""
        archive = next((self.cache / "debian" / package).glob("*.deb"), None)
        return archive.name.split("_")[1].replace("%3a", ":") if archive else "?"

    def venv(self, name: str, *requirements: str) -> Path:
        """A virtual environment with exactly these requirements; returns its bin folder."""
        folder = self._keyed("venv", name, *requirements)
        if self._begun(folder):
            self.say(f"installing {' '.join(requirements)}")
            try:
                self.run(sys.executable, "-m", "venv", folder)
            except InstallFault:
                # Debian keeps ensurepip in a package of its own.
                self._apt_install("python3-venv")
                self.run(sys.executable, "-m", "venv", "--clear", folder)
            self.run(folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)
            self._finished(folder)
        return folder / "bin"

    def npm(self, name: str, *packages: str) -> Path:
        """npm packages, no install scripts run; returns the folder that holds node_modules."""
        self.need_tool("npm", "npm")
        folder = self._keyed("npm", name, *packages)
        if self._begun(folder):
            self.say(f"installing {' '.join(packages)}")
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}\n')
            self.run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *packages, cwd=folder)
            self._finished(folder)
        return folder

    def cargo(self, name: str, source: Path) -> Path:
        """A driver crate built from its own lock file; returns the program."""
        if not shutil.which("cargo"):
            raise InstallFault("cargo is not installed (rustup's toolchain)")
        target = self.cache / "cargo" / name
        self.say(f"building {name}")
        self.run(
            "cargo", "build", "--locked", "--manifest-path", source / "Cargo.toml", "--target-dir", target,
            env={"CARGO_TARGET_DIR": str(target)},
        )
        return target / "debug" / name

    def go(self, name: str, package: str, module: str, source: Path | None = None) -> Path:
        """A program of a Go module in a fixed version, or our own few lines around that module; returns the program."""
        folder = self._keyed("go", name, module)
        if self._begun(folder):
            if not shutil.which("go"):
                raise InstallFault("go is not installed (1.25 or newer; Debian 12's is too old)")
            self.say(f"building {module}")
            folder.mkdir(parents=True)
            if source is None:
                # The import keeps the requirement while the program is built from inside this module.
                (folder / "keep.go").write_text(f'//go:build keep\n\npackage keep\n\nimport _ "{package}"\n')
            else:
                for file in source.glob("*.go"):
                    shutil.copy(file, folder)
            self.run("go", "mod", "init", f"sote-acme-clients/{name}", cwd=folder)
            self.run("go", "get", module, cwd=folder)
            self.run("go", "build", "-mod=mod", "-o", name, package, cwd=folder)
            self._finished(folder)
        return folder / name

    def maven(self, name: str, *coordinates: str) -> Path:
        """Java archives and what they need; returns the folder that has them in `lib`."""
        self.need_tool("javac", "default-jdk-headless")
        self.need_tool("mvn", "maven")
        folder = self._keyed("maven", name, *coordinates)
        if self._begun(folder):
            self.say(f"fetching {coordinates[0]}")
            folder.mkdir(parents=True)
            dependencies = "".join(
                "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
                    *coordinate.split(":")
                )
                for coordinate in coordinates
            )
            (folder / "pom.xml").write_text(
                "<project><modelVersion>4.0.0</modelVersion><groupId>clients</groupId>"
                f"<artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>"
                f"<dependencies>{dependencies}</dependencies></project>\n"
            )
            self.run("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/lib", cwd=folder)
            self._finished(folder)
        return folder

    def _apt_install(self, package: str) -> None:
        if not shutil.which("apt-get"):
            raise InstallFault(f"{package} is missing and there is no apt-get")
        if os.geteuid() != 0:
            raise InstallFault(f"Debian's {package} is not installed, and installing it needs root: apt-get install {package}")
        self.say(f"installing Debian's {package}")
        self._refresh_lists()
        self.run(
            "apt-get", "install", "-y", "-q", "--no-install-recommends", package,
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )

    def _refresh_lists(self) -> None:
        # Once for each run: an old list names files that the archive no longer has.
        if not self._lists_are_fresh and os.geteuid() == 0:
            self.run("apt-get", "update", "-q")
        self._lists_are_fresh = True

    def _debian_version(self, package: str) -> str:
        if not shutil.which("dpkg-query"):
            return ""
        shown = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", package], capture_output=True, text=True,
        ).stdout.split()
        return shown[1] if len(shown) == 2 and shown[0] == "ii" else ""

    def _keyed(self, kind: str, name: str, *wanted: str) -> Path:
        versions = "-".join(re.split("==|@|:", word)[-1] for word in wanted)
        return self.cache / kind / f"{name}-{versions}"

    def _begun(self, folder: Path) -> bool:
        """Whether the folder has to be filled; what an interrupted installation left is removed first."""
        if (folder / COMPLETE).is_file():
            return False
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return True

    def _finished(self, folder: Path) -> None:
        (folder / COMPLETE).touch()
