"""`make demo` and `make dev`, without make: the script they run."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, str(ROOT / "scripts" / "demo")]
SECONDS = 60


def test_the_demo_shows_the_main_job() -> None:
    """Registration, configuration, login, renewal, a refusal, revocation; every request with its answer."""
    done = subprocess.run(DEMO, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = re.findall(r"^\$ curl .*?/v1/(\S+)\n(\d+) ", done.stdout, re.MULTILINE)
    assert ("auth/jwt/login", "200") in statuses
    assert ("auth/jwt/login", "400") in statuses
    assert ("auth/token/renew", "200") in statuses
    assert statuses[-1] == ("auth/token/lookup", "403")
    assert "audience claim does not match" in done.stdout
    assert done.stdout.endswith("done: the server and the plugin's process have ended\n")


async def test_it_stays_when_asked() -> None:
    """For a browser or another client, until Ctrl-C; a token to log in with lies ready."""
    process = await asyncio.create_subprocess_exec(
        *DEMO, "--stay", "--port", "0", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        printed = ""
        async with asyncio.timeout(SECONDS):
            while "Ctrl-C ends" not in printed:
                line = (await process.stdout.readline()).decode()
                assert line, printed
                printed += line
        found = re.search(r"VAULT_ADDR=(\S+)", printed)
        token = re.search(r"jwt=@(\S+)", printed)
        assert found
        assert token
        login = {"role": "dev", "jwt": await asyncio.to_thread(Path(token[1]).read_text)}
        async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:
            answer = await http.post(f"{found[1]}/v1/auth/jwt/login", json=login)
        assert answer.status_code == 200
        process.send_signal(signal.SIGINT)
        rest = (await process.communicate())[0].decode()
        assert process.returncode == 0
        assert "have ended" in rest
        assert not await asyncio.to_thread(Path(token[1]).exists)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
