"""BAO_CLIENT_CERT="" says: no certificate. hvac then takes VAULT_CLIENT_CERT by itself, and requests a CA of its own."""
import os
os.environ.update(VAULT_CLIENT_CERT="/of/another/server.pem", VAULT_CLIENT_KEY="/of/another/key.pem", BAO_CLIENT_CERT="", VAULT_TOKEN="t", VAULT_ADDR="https://127.0.0.1:1")
from authkit.deployment.server import connect
from authkit.deployment.environment import ServerEnvironment
print("read:", ServerEnvironment.read().client_certificate)
s=connect(); print("sent:", s._client.adapter._kwargs["cert"])
os.environ.update(REQUESTS_CA_BUNDLE="/of/python/ca.pem")
print("verify with REQUESTS_CA_BUNDLE:", s._client.adapter.session.merge_environment_settings("https://127.0.0.1:1",{},False,True,None)["verify"])
try: s.list_mounts()
except Exception as e: print(e)
