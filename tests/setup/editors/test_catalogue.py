"""Which files are meant on which system, and what shells make of what is written into them."""

import codecs
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from seatpool.setup.address import NoProxy, parse, same
from seatpool.setup.editors import Person, State, Wish, targets
from seatpool.setup.editors.change import plan_all
from seatpool.setup.editors.forms import Block
from seatpool.setup.editors.forms.dialects import LOCAL, Name
from seatpool.setup.editors.journal import Journal

WISH = Wish(parse("http://127.0.0.1:8080"), Path("/data/it's here/ca.pem"), Path("/data/with-system-roots.pem"))

# What is there -> the files that are to be written, by target.
MACHINES: dict[str, tuple[str, dict[str, str], tuple[str, ...], dict[str, set[str]]]] = {
    "Linux": (
        "Linux",
        {"SHELL": "/usr/bin/zsh"},
        (
            ".config/Code",
            ".config/VSCodium",
            ".config/JetBrains/GoLand2026.2/options",
            ".config/Google/AndroidStudio2025.1/options",
            ".config/JetBrains/consentOptions",
            ".config/fish",
            ".config/nvim",
            ".vim",
            ".codex",
            ".config/user-dirs.dirs",
        ),
        {
            "vscode": {".config/Code/User/settings.json", ".config/VSCodium/User/settings.json", ".codex/.env"},
            "codex": {".codex/.env"},
            "copilot-cli": set(),
            "jetbrains": {
                ".config/JetBrains/GoLand2026.2/options/proxy.settings.xml",
                ".config/Google/AndroidStudio2025.1/options/proxy.settings.xml",
            },
            "neovim": {".config/nvim/plugin/seatpool.lua", ".vim/plugin/seatpool.vim"},
            "opencode": set(),
            "shell": {".zshrc", ".config/fish/conf.d/seatpool.fish", ".config/environment.d/seatpool.conf"},
        },
    ),
    "a host that is worked on from elsewhere": (
        "Linux",
        {"SHELL": "/bin/bash", "CODEX_HOME": "HOME/codex"},
        (".vscode-server/extensions/openai.chatgpt-0.5.1", ".copilot"),
        {
            "vscode": {".vscode-server/data/Machine/settings.json", "codex/.env"},
            "codex": {"codex/.env"},
            "copilot-cli": {".copilot/settings.json", ".bashrc"},
            "shell": {".bashrc"},
        },
    ),
    "a codespace": (
        "Linux",
        {},
        (".vscode-remote/extensions/openai.chatgpt-0.5.1", ".codex"),
        {"vscode": {".vscode-remote/data/Machine/settings.json", ".codex/.env"}, "codex": {".codex/.env"}},
    ),
    "a host that Windsurf works on from elsewhere": (
        "Linux",
        {},
        (".windsurf-server",),
        {"vscode": {".windsurf-server/data/Machine/settings.json"}},
    ),
    "Codex in a terminal, and no editor": ("Linux", {}, (".codex",), {"vscode": set(), "codex": {".codex/.env"}}),
    "folders of a person's own": (
        "Linux",
        {
            "XDG_CONFIG_HOME": "HOME/etc",
            "COPILOT_HOME": "HOME/cop",
            "ZDOTDIR": "HOME/z",
            "NVIM_APPNAME": "lazy",
            "SHELL": "zsh",
        },
        ("etc/Cursor", "etc/lazy", "etc/opencode", "cop", "z", ".config/Code", ".config/nvim"),
        {
            "vscode": {"etc/Cursor/User/settings.json"},
            "copilot-cli": {"cop/settings.json", "z/.zshrc"},
            "neovim": {"etc/lazy/plugin/seatpool.lua"},
            "opencode": {"z/.zshrc"},
        },
    ),
    "macOS": (
        "Darwin",
        {"SHELL": "/bin/zsh"},
        (
            "Library/Application Support/Code - Insiders",
            "Library/Application Support/JetBrains/WebStorm2026.1/options",
            ".config/nvim",
            ".bash_profile",
            ".config/Code",
        ),
        {
            "vscode": {"Library/Application Support/Code - Insiders/User/settings.json"},
            "jetbrains": {"Library/Application Support/JetBrains/WebStorm2026.1/options/proxy.settings.xml"},
            "neovim": {".config/nvim/plugin/seatpool.lua"},
            "shell": {".zshrc", ".bash_profile"},
        },
    ),
    "Windows": (
        "Windows",
        {"APPDATA": "HOME/AppData/Roaming", "LOCALAPPDATA": "HOME/AppData/Local"},
        (
            "AppData/Roaming/Code",
            "AppData/Roaming/JetBrains/Rider2026.1/options",
            "AppData/Local/nvim",
            "vimfiles",
            ".bashrc",
            "OneDrive/Dokumente/PowerShell",
            "OneDrive/Dokumente/WindowsPowerShell",
            "Documents/PowerShell",
            ".codex",
        ),
        {
            "vscode": {"AppData/Roaming/Code/User/settings.json", ".codex/.env"},
            "jetbrains": {"AppData/Roaming/JetBrains/Rider2026.1/options/proxy.settings.xml"},
            "neovim": {"AppData/Local/nvim/plugin/seatpool.lua", "vimfiles/plugin/seatpool.vim"},
            "shell": {
                "OneDrive/Dokumente/PowerShell/Microsoft.PowerShell_profile.ps1",
                "OneDrive/Dokumente/WindowsPowerShell/Microsoft.PowerShell_profile.ps1",
            },
        },
    ),
}


def test_who_had_no_profile_in_windows_powershell_is_told_that_it_runs_none(tmp_path: Path) -> None:
    for name in ("PowerShell", "WindowsPowerShell"):
        (tmp_path / name).mkdir()
    person = Person(home=tmp_path, system="Windows", environ={}, documents=tmp_path)
    (shell,) = (target for target in targets() if target.name == "shell")
    asked = [(shell, *each) for each in shell.files(person)]
    told = [plan.then for plan in plan_all(asked, WISH, Journal(tmp_path / "journal"))]
    assert told == ["", "it runs no profile before: Set-ExecutionPolicy -Scope CurrentUser RemoteSigned"]
    asked[1][2].write_text("Set-PSReadLineOption -EditMode Vi\n")
    assert not any(plan.then for plan in plan_all(asked, WISH, Journal(tmp_path / "journal")))


@pytest.mark.parametrize(("home", "mark"), [("C:/Users/Jörg", codecs.BOM_UTF8), ("C:/Users/me", b"")])
def test_a_name_that_is_not_ascii_is_marked_for_windows_powershell(tmp_path: Path, home: str, mark: bytes) -> None:
    (tmp_path / "WindowsPowerShell").mkdir()
    person = Person(home=tmp_path, system="Windows", environ={}, documents=tmp_path)
    (shell,) = (target for target in targets() if target.name == "shell")
    wish = Wish(WISH.proxy, Path(home, "ca.pem"), Path(home, "bundle.pem"))
    ((spot, file),) = shell.files(person)
    (plan,) = plan_all([(shell, spot, file)], wish, Journal(tmp_path / "journal"))
    assert plan.after is not None and plan.after.removeprefix(mark).startswith(b"# >>> seatpool")
    assert f"'{home}/ca.pem'".encode() in plan.after
    assert spot.judged(file, plan.after, wish).state is State.CONFIGURED
    assert shell.spot_of(Path(".bashrc")).form.mark == b""


def test_settings_sync_is_kept_from_taking_the_proxy_to_other_machines(tmp_path: Path) -> None:
    for name in (".config/Code/User", ".vscode-server/data/Machine"):
        (tmp_path / name).mkdir(parents=True)
    person = Person(home=tmp_path, system="Linux", environ={})
    (vscode,) = (target for target in targets() if target.name == "vscode")
    here, remote = vscode.files(person)
    here[1].write_text('{"settingsSync.ignoredSettings": ["editor.fontSize"]}')
    plans = plan_all([(vscode, *here), (vscode, *remote)], WISH, Journal(tmp_path / "journal"))
    written, elsewhere = (json.loads(plan.after or b"") for plan in plans)
    assert written["settingsSync.ignoredSettings"] == ["http.proxy", "editor.fontSize"]
    assert "settingsSync.ignoredSettings" not in elsewhere, "what is there is never synchronised"
    by_hand = {"http.proxy": "http://localhost:8080", "http.experimental.systemCertificatesV2": True}
    here[1].write_text(json.dumps(by_hand))
    assert here[0].finding(here[1], WISH).state is State.CONFIGURED


@pytest.mark.parametrize(("system", "environ", "there", "expected"), MACHINES.values(), ids=MACHINES)
def test_the_files_of_what_is_there_are_meant(
    tmp_path: Path, system: str, environ: dict[str, str], there: tuple[str, ...], expected: dict[str, set[str]]
) -> None:
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    named = {key: value.replace("HOME", str(tmp_path)) for key, value in environ.items()}
    person = Person(home=tmp_path, system=system, environ=named, documents=tmp_path / "OneDrive/Dokumente")
    for target in targets():
        found = {file.relative_to(tmp_path).as_posix() for _, file in target.files(person)}
        if target.name in expected:
            assert found == expected[target.name], target.name
        assert (target.state(person, WISH) is State.ABSENT) == (not found)


def test_an_empty_home_has_nothing_to_set_up(tmp_path: Path) -> None:
    person = Person(home=tmp_path, system="Linux", environ={})
    assert {target.state(person, WISH) for target in targets()} == {State.ABSENT}


def test_a_file_that_is_named_is_told_by_its_path() -> None:
    by_name = {target.name: target for target in targets()}
    titles = {
        ("vscode", "/x/.vscode-server/data/Machine/settings.json"): "VS Code's remote side",
        ("vscode", "/x/.vscode-remote/data/Machine/settings.json"): "VS Code's side in a codespace",
        ("vscode", "/portable/data/user-data/User/settings.json"): "VS Code",
        ("vscode", "/x/.env"): "Codex",
        ("shell", "/x/my.fish"): "fish",
        ("shell", "/x/env.ps1"): "PowerShell",
        ("shell", "/x/.profile"): "bash",
        ("neovim", "/x/proxy.vim"): "Vim",
        ("copilot-cli", "/x/settings.json"): "Copilot CLI",
    }
    assert {key: by_name[key[0]].spot_of(Path(key[1])).title for key in titles} == titles


def test_every_setting_says_why_and_every_target_how_to_check() -> None:
    for target in targets():
        assert target.mend == f"seatpool setup {target.name}"
        assert "seatpool why" in target.check
        for spot in target.spots:
            assert all(setting.why for setting in spot.settings), spot.title


@pytest.mark.parametrize(
    "one", ["http://127.0.0.1:8080", "http://localhost:8080/", "127.0.0.1:8080", "http://[::1]:8080"]
)
def test_one_proxy_has_several_names(one: str) -> None:
    assert same(one, "http://127.0.0.1:8080")


@pytest.mark.parametrize(
    "other", ["http://127.0.0.1:8081", "http://corp:8080", "socks5://x", "http://me:x@127.0.0.1:8080"]
)
def test_another_proxy_is_another(other: str) -> None:
    assert not same(other, "http://127.0.0.1:8080")


@pytest.mark.parametrize(
    "url", ["localhost:8080", "https://h:1", "http://h", "http://h:99999", "http://h:1/x", "http://a'b:1"]
)
def test_an_address_that_some_client_could_not_use_is_refused(url: str) -> None:
    with pytest.raises(NoProxy):
        parse(url)


def test_a_password_is_not_told() -> None:
    with pytest.raises(NoProxy) as refused:
        parse("https://me:FAKESECRET@corp:3128")
    assert "FAKESECRET" not in str(refused.value)


SHELLS: dict[str, tuple[Name, tuple[str, ...]]] = {
    "sh": ("sh", ("sh", "-eu", "-c", ". {0}; . {0}; env")),
    "bash": ("sh", ("bash", "--norc", "-c", "source {0}; source {0}; env")),
    "zsh": ("sh", ("zsh", "-f", "-c", "source {0}; source {0}; env")),
    "fish": ("fish", ("fish", "--no-config", "-c", "source {0}; source {0}; env")),
    "pwsh": ("powershell", ("pwsh", "-NoProfile", "-Command", ". {0}; . {0}; env")),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, ",".join(LOCAL)),
        ({"NO_PROXY": "corp.example,localhost"}, "corp.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": ".internal"}, ".internal,localhost,127.0.0.1,::1"),
    ],
)
def test_a_shell_that_reads_it_says_it_and_keeps_what_goes_around_the_proxy(
    tmp_path: Path, shell: str, before: dict[str, str], after: str
) -> None:
    dialect, argv = SHELLS[shell]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"no {argv[0]} on this machine")
    if shell == "pwsh" and "no_proxy" in before:
        pytest.skip("for Windows, where names of variables have no case")
    file = tmp_path / "profile.ps1"
    settings = {"HTTPS_PROXY": WISH.proxy.url, "NODE_EXTRA_CA_CERTS": str(WISH.trusted)}
    file.write_text(Block(dialect, "shell").put("", settings))
    command = [each.format(file) for each in argv]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **before}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=20)
    said = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
    assert ran.stderr == ""
    assert said.items() >= {**settings, "NO_PROXY": after}.items()
    if shell != "pwsh":
        assert (said["https_proxy"], said["no_proxy"]) == (WISH.proxy.url, after)


GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")


@pytest.mark.skipif(not GENERATOR.exists(), reason="no systemd on this machine")
def test_a_desktop_session_says_it(tmp_path: Path) -> None:
    file = tmp_path / "environment.d" / "seatpool.conf"
    file.parent.mkdir()
    settings = {"HTTPS_PROXY": WISH.proxy.url, "NODE_EXTRA_CA_CERTS": str(WISH.trusted)}
    file.write_text(Block("environment.d", "shell").put("", settings))
    for before, after in ((None, ",".join(LOCAL)), ("corp.example", "corp.example")):
        env = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)} | ({"NO_PROXY": before} if before else {})
        ran = subprocess.run([GENERATOR], env=env, capture_output=True, text=True, check=True, timeout=20)
        told = ran.stdout.replace('"', "").replace("$'", "").replace("\\'", "'").splitlines()
        said = dict(line.split("=", 1) for line in told)
        assert said["HTTPS_PROXY"] == said["https_proxy"] == WISH.proxy.url
        assert said["no_proxy"] == said["NO_PROXY"] == after
        assert said["NODE_EXTRA_CA_CERTS"].strip("'") == str(WISH.trusted)


@pytest.mark.parametrize(("program", "dialect"), [("vim", "vim"), ("nvim", "vim"), ("nvim", "lua")])
def test_an_editor_that_reads_it_says_it(tmp_path: Path, program: str, dialect: Name) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine")
    if (
        program == "vim"
        and "+eval" not in subprocess.run(["vim", "--version"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("this Vim has no expressions")
    file, said = tmp_path / f"seatpool.{dialect}", tmp_path / "said"
    settings = {
        "g:copilot_proxy": WISH.proxy.url,
        "g:copilot_proxy_strict_ssl": True,
        "NODE_EXTRA_CA_CERTS": str(WISH.trusted),
    }
    file.write_text(Block(dialect, "neovim").put("", settings))
    values = "[g:copilot_proxy, string(g:copilot_proxy_strict_ssl), $NODE_EXTRA_CA_CERTS]"
    asked = ["-es", "-u", "NONE", "-c", f"source {file}", "-c", f"call writefile({values}, '{said}')", "-c", "qa!"]
    subprocess.run([program, *asked], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, check=False, timeout=20)
    assert said.read_text().splitlines() == [WISH.proxy.url, "v:true", str(WISH.trusted)]
