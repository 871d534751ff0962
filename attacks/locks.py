"""Lines of a lock that bring something unlocked."""
import hashlib, io, sys, tarfile, tempfile, zipfile
from pathlib import Path
from authkit.packaging.lock import install
from authkit.packaging.project import Project
from authkit.packaging.errors import PackagingError

def wheel(folder, name, version="1.0", code="x=1\n"):
    p = folder/f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(p,"w") as z:
        z.writestr(f"{name}.py", code)
        z.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        z.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{name}-{version}.dist-info/RECORD", f"{name}.py,,\n{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/WHEEL,,\n{name}-{version}.dist-info/RECORD,,\n")
    return p

BACKEND = '''
import zipfile, os
def _meta(d, z): pass
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name="%(name)s-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory,name),"w") as z:
        z.writestr("%(name)s.py", %(code)s)
        z.writestr("%(name)s-1.0.dist-info/METADATA","Metadata-Version: 2.1\\nName: %(name)s\\nVersion: 1.0\\n")
        z.writestr("%(name)s-1.0.dist-info/WHEEL","Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        z.writestr("%(name)s-1.0.dist-info/RECORD","")
    return name
'''
def project(folder, lock):
    folder.mkdir()
    (folder/"pyproject.toml").write_text('[project]\nname="proj"\nversion="1.0"\n[build-system]\nrequires=[]\nbuild-backend="backend"\nbackend-path=["."]\n')
    (folder/"backend.py").write_text(BACKEND % {"name":"proj","code":"'p=1'"})
    (folder/"requirements.lock").write_text(lock)
    return Project(folder=folder, plugin="proj:P")

def attempt(what, lock, find_links=()):
    with tempfile.TemporaryDirectory() as t:
        t=Path(t)
        try:
            install(project(t/"p", lock), t/"out", without=(), find_links=find_links)
            print("INSTALLED", what, {f.name: f.read_text() for f in (t/"out").glob("*.py")})
        except PackagingError as e:
            print("refused  ", what, "|", str(e).splitlines()[0][:120], "|", str(e).splitlines()[-1][:160])

import os
os.environ["PIP_NO_INDEX"]="1"
with tempfile.TemporaryDirectory() as s:
    s=Path(s)
    # 1 an archive of sources, whose build takes what the index has that day
    links=s/"index"; links.mkdir()
    wheel(links,"builder", code=BACKEND % {"name":"srcs","code":"'from = \"UNLOCKED BUILDER\"'"})
    sd=s/"srcs-1.0.tar.gz"
    with tarfile.open(sd,"w:gz") as t:
        for n,c in {"pyproject.toml":'[project]\nname="srcs"\nversion="1.0"\n[build-system]\nrequires=["builder"]\nbuild-backend="builder"\n',"PKG-INFO":"Metadata-Version: 2.1\nName: srcs\nVersion: 1.0\n"}.items():
            b=c.encode(); i=tarfile.TarInfo("srcs-1.0/"+n); i.size=len(b); t.addfile(i, io.BytesIO(b))
    h=hashlib.sha256(sd.read_bytes()).hexdigest()
    os.environ["PIP_FIND_LINKS"]=str(links)
    attempt("sdist by URL", f"srcs @ {sd.as_uri()} --hash=sha256:{h}\n")
    attempt("sdist by URL, fragment", f"srcs @ {sd.as_uri()}#sha256={h}\n")
    del os.environ["PIP_FIND_LINKS"]
    # 2 md5 beside sha256
    w=wheel(s,"evil",code="x='only md5 was compared'")
    md5=hashlib.md5(w.read_bytes()).hexdigest(); sha1=hashlib.sha1(w.read_bytes()).hexdigest()
    good="0"*64
    attempt("md5 fragment, wrong sha256", f"evil @ {w.as_uri()}#md5={md5} --hash=sha256:{good}\n")
    attempt("sha1 fragment, wrong sha256", f"evil @ {w.as_uri()}#sha1={sha1} --hash=sha256:{good}\n")
    attempt("egg+md5 fragment", f"evil @ {w.as_uri()}#egg=evil&md5={md5} --hash=sha256:{good}\n")
    attempt("md5 alone", f"evil @ {w.as_uri()}#md5={md5}\n")
    attempt("--hash=md5", f"evil @ {w.as_uri()} --hash=md5:{md5}\n")
    attempt("md5 then x#sha256", f"evil @ {w.as_uri()}#md5={md5}#sha256={good}\n")
    attempt("folder with hash", f"evil @ {links.as_uri()} --hash=sha256:{good}\n")
    attempt("env", f"evil @ file://${{HOME}}/x.whl --hash=sha256:{good}\n")
    attempt("config-settings", f"evil==1.0 --hash=sha256:{good} --config-settings=x=y\n",[s])
    attempt("requirement inside", f"evil==1.0 --hash=sha256:{good} -r /etc/passwd\n",[s])
    attempt("index option inside", f"evil==1.0 --index-url=http://127.0.0.1:1/ --hash=sha256:{good}\n",[s])
