"""`authkit build`: one file for servers, from a plugin's project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from authkit.cli.console import console
from authkit.cli.extras import build_extra
from authkit.packaging.project import read_project

if TYPE_CHECKING:
    from rich.console import Console

    from authkit.packaging.forms.executable import Executable
    from authkit.packaging.oci import Image

__all__ = ["build"]

MEGABYTE = 1_000_000
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(short_help="Build one file for servers from a plugin's project.")
@click.argument("project", type=_FOLDER, default=".")
@click.option(
    "--zipapp", is_flag=True, help="Leave the interpreter out, for machines that have the same Python."
)
@click.option("--oci", is_flag=True, help="Write an OCI image of it as well.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the file goes; dist/ of the project otherwise.",
)
@click.option("--lock", is_flag=True, help="First write requirements.lock, with what the index has today.")
@click.option(
    "--find-links", multiple=True, type=_FOLDER, help="A folder with wheels, which the index may not replace."
)
@click.option("--with-grpcio", is_flag=True, help="Put the second gRPC engine in as well (19 MB).")
def build(
    project: Path,
    zipapp: bool,
    oci: bool,
    output: Path | None,
    lock: bool,
    find_links: tuple[Path, ...],
    with_grpcio: bool,
) -> None:
    """Build one executable file from a plugin's project: it runs on servers that have no Python.

    With --zipapp it runs on servers that have the Python that builds it, and is smaller.
    PROJECT is a folder whose pyproject.toml names the plugin in [tool.authkit]; the current one otherwise.
    What goes in is listed in its requirements.lock, with versions and hashes.
    """
    if zipapp and oci:
        raise click.UsageError(
            "--zipapp leaves the interpreter out, and an image has no other: give one of --zipapp and --oci"
        )
    out = console()
    links = [each.resolve() for each in find_links]
    with build_extra():
        from authkit.packaging.forms.standalone import build_standalone
        from authkit.packaging.forms.zipapp import build_zipapp
        from authkit.packaging.lock import write_lock
        from authkit.packaging.oci import write_image

        found = read_project(project.resolve())
        if lock:
            out.print(f"{found.lock.name}: {write_lock(found, find_links=links)} distributions")
        out.print(f"building {found.plugin} ...")
        keep = ("grpcio",) if with_grpcio else ()
        folder = (output or found.folder / "dist").resolve()
        build_file = build_zipapp if zipapp else build_standalone
        built = build_file(found, folder, keep=keep, find_links=links)
        image = write_image(built, folder) if oci else None
    _summarize(out, built, image)


def _summarize(out: Console, built: Executable, image: Image | None) -> None:
    out.print(f"{built.file}: {built.size / MEGABYTE:.1f} MB, unpacked {built.unpacked / MEGABYTE:.1f} MB")
    out.print(f"sha256 {built.sha256}")
    out.print(f"for Linux with {built.needs}; {built.sbom.name} lists what is in it")
    if image is not None:
        out.print(f"{image.folder} and {image.archive.name}: image {image.digest}")
    out.print()
    out.print("Put the file into the server's plugin directory, and:")
    for command in ("vault", "bao"):
        options = f"-sha256={built.sha256} -command={built.file.name}"
        out.print(f"    {command} plugin register {options} {built.kind} {built.name}")
