"""The lines of a lock: nothing is dropped but what brings no distribution."""

from __future__ import annotations

from pathlib import Path

import pytest

from authkit.packaging.errors import PackagingError
from authkit.packaging.locked import read_lock
from authkit.packaging.project import Project

HASH = "--hash=sha256:aa"


def read(folder: Path, text: str) -> list[tuple[str, str]]:
    """Return the names and lines of a lock."""
    project = Project(folder=folder, plugin="a:A")
    project.lock.write_text(text)
    return [(each.name, each.text) for each in read_lock(project)]


def test_a_distribution_is_one_line(tmp_path: Path) -> None:
    """With extras, markers and hashes on lines of their own; names as indexes compare them."""
    text = (
        f"Zope.Interface[test]==1.0 ; python_version > '3' \\\n    {HASH} \\\n    --hash=sha256:bb\n"
        "    # via x\n"
        f"a_b @ https://example.org/a.whl {HASH}  # a comment\n"
        "c @ https://example.org/c.whl#sha256=aa\n"
        f"d==1 {HASH} \\\n"
    )
    assert read(tmp_path, text) == [
        ("zope-interface", f"Zope.Interface[test]==1.0 ; python_version > '3' {HASH} --hash=sha256:bb"),
        ("a-b", f"a_b @ https://example.org/a.whl {HASH}"),
        ("c", "c @ https://example.org/c.whl#sha256=aa"),
        ("d", f"d==1 {HASH}"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   # a comment \\",
        "-e .",
        "--editable=./",
        ".",
        "-e {uri}",
        "my-method @ {uri}",
        "-i https://index.example/simple",
        "--extra-index-url=https://index.example/simple",
        "--trusted-host index.example",
        "--find-links wheels",
        "--only-binary :all:",
        "--require-hashes",
    ],
)
def test_what_brings_no_distribution_is_ignored(tmp_path: Path, line: str) -> None:
    """The project itself, which is built beside its lock, and options of the index."""
    assert read(tmp_path, f"{line.format(uri=tmp_path.as_uri())}\na==1 {HASH}\n") == [("a", f"a==1 {HASH}")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r other.txt", "'-r other.txt' is not locked: list each distribution in this file"),
        ("--requirement=other.txt", "is not locked"),
        ("-c constraints.txt", "is not locked"),
        ("-e ../library", "is not locked"),
        ("./library", "is not locked"),
        (f"wheels/b-1.0-py3-none-any.whl {HASH}", "is not locked"),
        (f"https://example.org/b.whl {HASH}", "is not locked"),
        ("https://example.org/b.whl", "is not locked"),
        (f"b>=1.0 {HASH}", "is not locked"),
        ("--no-indexes", "is not locked"),
        ("b @ https://example.org/b.whl", "b has no hash: add --hash=sha256:"),
        ("b @ file:///elsewhere/b", "b has no hash"),
        ("b @ git+https://example.org/b@main", "b has no hash"),
        ("b==1.0", "b has no hash"),
        (f"b==1.0  # {HASH}", "b has no hash"),
        # pip would build it, with tools of that day that have no hash, although it is told --only-binary.
        (f"b @ https://example.org/b-1.0.tar.gz {HASH}", "b is no wheel"),
        (f"b[x] @ https://example.org/b.tar.gz?a=b.whl {HASH}", "b is no wheel"),
        ("b @ https://example.org/b.zip#sha256=aa", "b is no wheel"),
        (f"b @ file:///elsewhere/b {HASH}", "b is no wheel"),
        # pip would take a file that has this one, whatever the other says.
        (f"b @ https://example.org/b.whl#md5=aa {HASH}", "b has a hash of md5"),
        (f"b @ https://example.org/b.whl#egg=b&sha1=aa {HASH}", "b has a hash of sha1"),
    ],
)
def test_what_is_not_locked_is_refused(tmp_path: Path, line: str, said: str) -> None:
    """With its file and its line."""
    with pytest.raises(PackagingError) as refused:
        read(tmp_path, f"a==1 \\\n    {HASH}\n# of somebody's\n{line}\n")
    assert str(refused.value).startswith("requirements.lock:4: ")
    assert said in str(refused.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """Such as a wheel under the name of the lock."""
    project = Project(folder=tmp_path, plugin="a:A")
    project.lock.write_bytes(b"\xff\xfe")
    with pytest.raises(PackagingError, match=r"requirements.lock can't be read \(it is not text\)"):
        read_lock(project)
