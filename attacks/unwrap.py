"""Does the wrapping token, or a password in api_addr, reach an error or a log?"""
import base64, json, logging, io, traceback
buf=io.StringIO(); logging.basicConfig(level=logging.DEBUG, stream=buf)
from authkit.wire.wrapping_token import WrappingToken
from authkit.wire.unwrapping import unwrap
from authkit.wire.api_tls import APITLS
from authkit.wire.api_flags import APIFlags
def tok(addr, tail=""): return "eyJ." + base64.urlsafe_b64encode(json.dumps({"addr":addr}).encode()).decode().rstrip("=") + ".SIGNATURESECRET"+tail
for name,(addr,tail) in {"newline":("http://127.0.0.1:1","\nx"),"nonlatin":("http://127.0.0.1:1","€"),"nul":("http://127.0.0.1:1","\0x"),"userinfo":("http://u:PWSECRET@127.0.0.1:1",""),"port":("http://127.0.0.1:99999",""),"path":("http://127.0.0.1:1/x y?PWSECRET",""),"idna":("http://ex\u2024ample..:1",""),"crlf":("http://127.0.0.1:1/\r\nX: y","")}.items():
    try:
        t=WrappingToken.parse(tok(addr,tail)); unwrap(t, APITLS())
    except BaseException as e:
        full="".join(traceback.format_exception(e))
        print(name, type(e).__name__, str(e)[:110], "| in text:", "SECRET" in str(e), "| in traceback:", "SECRET" in full)
print("log leak:", [l[:200] for l in buf.getvalue().splitlines() if "SECRET" in l])
def f(*a, env={}):
    try: print(a, env, "->", APITLS.read(APIFlags.parse(a), env))
    except BaseException as e: print(a, env, type(e).__name__, e)
f("-tls-skip-verify=false", env={"VAULT_SKIP_VERIFY":"1"})
f("-tls-skip-verify","-tls-skip-verify=0")
f("-ca-cert","-tls-skip-verify")
f("-ca-cert=", env={"VAULT_CACERT":"/x"})
f("-ca-cert= ", env={})
f("-tls-server-name=", env={"BAO_TLS_SERVER_NAME":"","VAULT_TLS_SERVER_NAME":"x"})
f(env={"VAULT_SKIP_VERIFY":"TRue"})
f(env={"VAULT_CACERT_BYTES":"é"})
for env in ({"VAULT_CACERT_BYTES":"é"},{"VAULT_CACERT":"/nowhere"},{"VAULT_CAPATH":"/nowhere"},{"VAULT_CACERT":"a\0b"},{"VAULT_CACERT":"/dev/null"}):
    try: c=APITLS.read(APIFlags(),env).context(); print(env, "TRUSTED", len(c.get_ca_certs()), c.verify_mode, c.check_hostname)
    except BaseException as e: print(env, type(e).__name__, e)
