"""`authkit upgrade ./plugin --name pin --plugin-version 1.1.0`: the file of 1.0.0 has the same name. Before the fix it was
replaced: verify_unused compares name and version alone. The mount does not start any more, nor can it go back."""
import tempfile
from pathlib import Path
from authkit.deployment import steps
from authkit.deployment.release import read_release
from authkit.deployment.kinds import AUTH
from authkit.deployment.server import Mount
class S:
    kind=AUTH
    def __init__(s, m): s.m=m
    def list_mounts(s): return {"pin": s.m}
with tempfile.TemporaryDirectory() as t:
    d=Path(t)/"plugins"; d.mkdir(); src=Path(t)/"plugin"
    src.write_bytes(b"old"); old=read_release(src,name="pin",version="1.0.0"); steps.copy(old,d,report=print)
    src.write_bytes(b"new"); new=read_release(src,name="pin",version="1.1.0")
    steps.verify_unused(S(Mount(plugin="pin",version="v1.0.0",sha256=old.sha256)), new)
    steps.copy(new,d,report=print)
    print("the mount's file is now", (d/"plugin").read_bytes(), "; its checksum fails at the next start")
