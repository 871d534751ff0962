"""Lists inside wheels that end a build with a traceback."""
import json, sys, tempfile, time, traceback
from pathlib import Path
from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from authkit.packaging.contents.bundled import list_bundled, list_references
from authkit.packaging.contents import sbom
def attempt(what, files):
    with tempfile.TemporaryDirectory() as t:
        m=Path(t)/"packages"/"w-1.dist-info"; (m/"sboms").mkdir(parents=True)
        (m/"METADATA").write_text("Metadata-Version: 2.1\nName: w\nVersion: 1\n")
        for n,c in files.items(): (m/"sboms"/n).write_text(c)
        t0=time.time()
        try:
            bom=Bom()
            for d, contents in sbom._distributions(m.parent):
                bom.components.update([d,*contents]); bom.register_dependency(d, contents)
            n=len(JsonV1Dot6(bom).output_as_string(indent=2))
            print("ok", what, n, f"{time.time()-t0:.1f}s")
        except BaseException as e:
            print("CRASH", what, type(e).__name__, str(e)[:100], f"{time.time()-t0:.1f}s")
def comp(**k): return json.dumps({"components":[{"type":"library","name":"a",**k}]})
attempt("deep json", {"a.json":"["*200000})
deep={"type":"library","name":"a"}
for i in range(300): deep={"type":"library","name":"a","components":[deep]}
attempt("300 nested components", {"a.json":json.dumps({"components":[deep]})})
for i in range(30): 
    pass
d2={"type":"library","name":"a"}
for i in range(60): d2={"type":"library","name":"a","components":[d2]}
attempt("60 nested components", {"a.json":json.dumps({"components":[d2]})})
attempt("blank in name", {"a list.json":comp()})
attempt("mixed versions", {"a.json":json.dumps({"components":[{"type":"library","name":"a"},{"type":"library","name":"a","version":"1"},{"type":"library","name":"a","version":"2","purl":"pkg:pypi/a@2"}]})})
attempt("number name", {"a.json":comp(name=5)})
attempt("number version", {"a.json":json.dumps({"components":[{"type":"library","name":"a","version":5},{"type":"library","name":"a","version":"5"}]})})
attempt("name null", {"a.json":comp(name=None)})
attempt("list name", {"a.json":comp(name=[1])})
attempt("bad purl", {"a.json":comp(purl="nope")})
attempt("string components", {"a.json":'{"components":"abc"}'})
attempt("int bom-ref", {"a.json":comp(**{"bom-ref":5})})
attempt("bad hash", {"a.json":comp(hashes=[{"alg":"SHA-256","content":5}])})
attempt("bad url", {"a.json":comp(externalReferences=[{"type":"vcs","url":"a b"}])})
attempt("bad license", {"a.json":comp(licenses=[{"license":{"id":"Nope"}}])})
attempt("license expr twice", {"a.json":comp(licenses=[{"expression":"MIT"},{"expression":"MIT"}])})
attempt("huge int", {"a.json":'{"components":'+"9"*5000+"}"})
attempt("surrogate", {"a.json":comp(name="\ud800")})
attempt("properties", {"a.json":comp(properties=[{"name":"a","value":5}])})
attempt("20k comps", {"a.json":json.dumps({"components":[{"type":"library","name":"a%d"%i} for i in range(20000)]})})
