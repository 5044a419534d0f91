"""Programs that verify certificates, each by a library of its own: whom do they believe?

A believer is asked about targets (`host`, port), and says of each whether a request went through.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from seatpool.setup.doctor.words import explained
from tests.clients.npm import NoClients, install, path_with_clients
from tests.harness import Lab
from tests.harness.browser import Chromium, find_chromium
from tests.upstream import codex_login

Target = tuple[str, int]
Verdicts = dict[Target, bool]


@dataclass(frozen=True, slots=True)
class Scene:
    """A lab with the thief in it, and what a person trusts there."""

    lab: Lab
    folder: Path
    trusted: Path
    """The roots: ours, and a careless one."""
    seen: Path
    """Who came to the thief, and what came of it."""
    careless: Path
    """The careless root alone."""


PYTHON = """
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
for target in sys.argv[2:]:
    host, _, port = target.rpartition(":")
    try:
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
        connection.request("GET", "/")
        print(target, connection.getresponse().status == 200)
    except ssl.SSLCertVerificationError as error:
        print(target, False, error.verify_message)
"""

NODE = """
const https = require("https");
(async () => { for (const target of process.argv.slice(1)) await new Promise(done => {
  const say = text => { console.log(target, text); done(); };
  const asked = https.get("https://" + target + "/", answer => { answer.resume(); say("True"); });
  asked.on("error", error => say("False " + error.code));
}); })();
"""

GO = """
package main

import (
	"crypto/tls"
	"fmt"
	"os"
)

func main() {
	for _, target := range os.Args[1:] {
		connection, err := tls.Dial("tcp", target, nil)
		if err != nil {
			fmt.Println(target, "False", err)
			continue
		}
		fmt.Println(target, "True")
		connection.Close()
	}
}
"""

JAVA = """
import java.io.FileInputStream;
import java.net.URL;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import javax.net.ssl.*;

public class Believer {
    public static void main(String[] args) throws Exception {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (FileInputStream file = new FileInputStream(args[0])) {
            for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(file))
                roots.setCertificateEntry("root" + roots.size(), root);
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(roots);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, managers.getTrustManagers(), null);
        HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
        for (int i = 1; i < args.length; i++) {
            try {
                HttpsURLConnection asked = (HttpsURLConnection) new URL("https://" + args[i] + "/").openConnection();
                System.out.println(args[i] + (asked.getResponseCode() == 200 ? " True" : " False"));
            } catch (SSLHandshakeException refused) {
                System.out.println(args[i] + " False " + refused.getMessage());
            }
        }
    }
}
"""


def _need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {', no '.join(missing)} on this machine")


def _told(scene: Scene, argv: Iterable[str | Path], targets: Iterable[Target], **env: str) -> Verdicts:
    """What a program says that takes targets and prints a line for each."""
    asked = list(targets)
    ran = scene.lab.run([*argv, *(f"{host}:{port}" for host, port in asked)], env=env)
    lines = [line.split(" ", 2) for line in ran.stdout.splitlines()]
    assert len(lines) == len(asked), ran.stdout + ran.stderr
    if "subtree" in ran.stdout:
        assert explained(ran.stdout)
    return {target: line[1] == "True" for target, line in zip(asked, lines, strict=True)}


def _codes(scene: Scene, argv: Callable[[Target], list[str]], refused: int, targets: Iterable[Target]) -> Verdicts:
    """What a program says by its exit code."""
    verdicts = {}
    for target in targets:
        ran = scene.lab.run(argv(target), stdin="")
        assert ran.returncode in (0, refused), ran.stdout + ran.stderr
        verdicts[target] = ran.returncode == 0
    return verdicts


def curl(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    _need("curl")
    ca = str(scene.trusted)
    return _codes(scene, lambda t: ["curl", "-sSf", "--cacert", ca, f"https://{t[0]}:{t[1]}/"], 60, targets)


def python(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    return _told(scene, [sys.executable, "-c", PYTHON, scene.trusted], targets)


def node(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    _need("node")
    return _told(scene, ["node", "-e", NODE, "--"], targets, NODE_EXTRA_CA_CERTS=str(scene.trusted))


def go(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    _need("go")
    source, program = scene.folder / "believer.go", scene.folder / "believer"
    source.write_text(GO)
    env = {"GOCACHE": str(scene.folder / "go"), "GO111MODULE": "off", "HOME": str(scene.folder)}
    built = subprocess.run(
        ["go", "build", "-o", program, source], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return _told(scene, [program], targets, SSL_CERT_FILE=str(scene.trusted), SSL_CERT_DIR="/nowhere")


def gnutls(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    _need("gnutls-cli")
    argv = ["gnutls-cli", "--x509cafile", str(scene.trusted)]
    return _codes(scene, lambda t: [*argv, "--port", str(t[1]), t[0]], 1, targets)


def java(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    _need("java", "javac")
    source = scene.folder / "Believer.java"
    source.write_text(JAVA)
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return _told(scene, ["java", *quick, source, scene.trusted], targets)


def chromium(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    _need("certutil")
    with Chromium(scene.lab, verify=True) as browser:  # which makes its database where it wants to have it
        browser.call("Page.navigate", url="https://chatgpt.com:8443/")
    (made,) = scene.lab.folder.glob("**/cert9.db")
    argv = ["certutil", "-d", f"sql:{made.parent}", "-A", "-t", "C,,", "-n", "careless", "-i", str(scene.careless)]
    subprocess.run(argv, check=True, capture_output=True)
    ran = seatpool(scene, "ca", "trust", "nss", "--yes")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verdicts = {}
    with Chromium(scene.lab, verify=True) as browser:
        for host, port in targets:
            said = browser.call("Page.navigate", url=f"https://{host}:{port}/").get("errorText", "")
            assert said in ("", "net::ERR_CERT_INVALID"), said
            assert not said or explained(said)
            verdicts[host, port] = not said
    return verdicts


def codex(scene: Scene, targets: Iterable[Target]) -> Verdicts:
    try:
        install()
    except NoClients as error:
        pytest.skip(f"no Codex: {error}")
    home = scene.folder / "codex"
    codex_login(home / ".codex", "editor")
    (home / "work").mkdir()
    env = {
        "HOME": str(home),
        "CODEX_HOME": str(home / ".codex"),
        "PATH": path_with_clients(),
        "CODEX_CA_CERTIFICATE": str(scene.trusted),
    }
    return {target: _codex(scene, home / "work", env, target) for target in targets}


def _codex(scene: Scene, work: Path, env: dict[str, str], target: Target) -> bool:
    """It tries again for long: what the thief saw first counts."""
    host, port = target
    upstream = f'{{name="x",base_url="https://{host}:{port}/v1",wire_api="responses",request_max_retries=0}}'
    argv = ["codex", "exec", "--skip-git-repo-check", "-c", f"model_providers.x={upstream}", "-c", 'model_provider="x"']
    scene.seen.write_text("")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = scene.lab.popen([*argv, "say hi"], env=env, cwd=work, **quiet)
    deadline = time.monotonic() + 40
    while not (found := re.search(rf"^{host} {port} (\w+)\n", scene.seen.read_text(), re.MULTILINE)):
        assert process.poll() is None and time.monotonic() < deadline, f"Codex never came to {host}:{port}"
        time.sleep(0.02)
    scene.lab.end(process)
    return found[1] == "believed"


def seatpool(scene: Scene, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, as the person of the scene types it."""
    return scene.lab.run([sys.executable, "-m", "seatpool.cli", *arguments], env=environment(scene.lab))


def environment(lab: Lab) -> dict[str, str]:
    """Of that person."""
    home = str(lab.folder)
    source = str(Path(__file__).parents[3] / "addon")
    return {"HOME": home, "XDG_DATA_HOME": f"{home}/data", "PYTHONPATH": source, "SEATPOOL_KEYRING": "off"}


BELIEVERS: dict[str, Callable[[Scene, Iterable[Target]], Verdicts]] = {
    "curl (OpenSSL)": curl,
    "Python": python,
    "Node": node,
    "Go": go,
    "GnuTLS": gnutls,
    "Java": java,
    "Chromium (NSS)": chromium,
    "Codex (Rust)": codex,
}
