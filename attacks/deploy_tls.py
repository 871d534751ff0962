"""Which certificates and variables the deployment's client takes."""
import os, inspect, hvac, requests
import hvac.v1, hvac.adapters
src=inspect.getsource(hvac.v1.Client.__init__); print(src[src.index("token = token"):][:2200])
