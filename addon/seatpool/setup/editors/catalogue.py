"""The clients that can be set up, as data: which files, which settings, why.

What a client reads was seen with the real ones (codex.md 7, copilot.md 8, codex-observed.md 8, copilot-observed.md 5)
or is in its source or manual, which is named there. Why the ways differ is told in certs-howto.md.
"""

from seatpool.setup.editors.forms import Block, Dotenv, Jsonc, Options
from seatpool.setup.editors.forms.dialects import Name
from seatpool.setup.editors.model import BUNDLE, HOST, PORT, PROXY, TRUSTED, Setting, Spot, Target, Where
from seatpool.setup.trust import NSS, SYSTEM

_UNIX = ("Linux", "Darwin")
_WINDOWS = ("Windows",)

# -- VS Code and what is made of it

_EDITORS = {
    "Code": "VS Code",
    "Code - Insiders": "VS Code Insiders",
    "Code - OSS": "Code - OSS",
    "VSCodium": "VSCodium",
    "Cursor": "Cursor",
    "Windsurf": "Windsurf",
}
_SERVERS = {
    ".vscode-server": "VS Code's remote side",
    ".vscode-server-insiders": "VS Code Insiders' remote side",
    ".vscodium-server": "VSCodium's remote side",
    ".vscode-remote": "VS Code's side in a codespace",
    ".cursor-server": "Cursor's remote side",
    ".windsurf-server": "Windsurf's remote side",
}
_FLATPAKS = {"com.visualstudio.code": "Code", "com.vscodium.codium": "VSCodium"}

_VSCODE = (
    Setting("http.proxy", PROXY, "VS Code, its extensions and what the Codex extension starts go there"),
    Setting(
        "http.proxySupport",
        "override",
        "`off` would let extensions go around it; `override`, the default, binds those with ideas of their own too",
        fine=(None, "on"),
    ),
    Setting("http.systemCertificates", True, "extensions trust what the system's store holds (default)", fine=(None,)),
    Setting(
        "http.experimental.systemCertificatesV2",
        True,
        "the same for connections that are neither https nor fetch, such as an extension's own WebSockets"
        " (vscode-proxy-agent: tls is patched with this one alone)",
    ),
    Setting(
        "settingsSync.ignoredSettings",
        ("http.proxy",),
        "else Settings Sync carries it to your other machines, where nothing listens (microsoft/vscode#75616)",
        beside=True,
    ),
)
_REMOTE = (
    *(each for each in _VSCODE if not each.beside),
    Setting(
        "http.useLocalProxyConfiguration",
        False,
        "else the remote side takes http.proxy from the machine in front of you, whose loopback is another one",
    ),
)

VSCODE_SPOTS = (
    *(
        Spot(title, (Where("config", f"{folder}/User/settings.json", folder),), Jsonc(), _VSCODE)
        for folder, title in _EDITORS.items()
    ),
    *(
        Spot(
            f"{_EDITORS[folder]} (Flatpak)",
            (Where("home", f".var/app/{app}/config/{folder}/User/settings.json", f".var/app/{app}", ("Linux",)),),
            Jsonc(),
            _VSCODE,
        )
        for app, folder in _FLATPAKS.items()
    ),
    *(
        Spot(title, (Where("home", f"{folder}/data/Machine/settings.json", folder),), Jsonc(), _REMOTE)
        for folder, title in _SERVERS.items()
    ),
)

# -- Codex

_DOTENV = (
    Setting("HTTPS_PROXY", PROXY, "read at each start, embedded in an editor too; HTTP_PROXY is not used for https"),
    Setting(
        "SSL_CERT_FILE",
        BUNDLE,
        "variables named CODEX_... are ignored here; commands that Codex runs see it",
        (TRUSTED,),
    ),
)

_IN_EXTENSIONS = tuple(
    Where("codex", ".env", f"{folder}/extensions/openai.chatgpt-*", sign_root="home")
    for folder in (".vscode", ".vscode-insiders", *_SERVERS)
)

CODEX_SPOT = Spot(
    "Codex",
    (Where("codex", ".env", "."), *_IN_EXTENSIONS),
    Dotenv(),
    _DOTENV,
)

# -- the environment of shells and desktops

_HTTPS_PROXY = Setting("HTTPS_PROXY", PROXY, "read by Codex, the Copilot CLI, the language server, opencode, curl")
_NODE = Setting("NODE_EXTRA_CA_CERTS", TRUSTED, "Node and Bun add it to their own; the Copilot CLI's Rust reads it too")
_CODEX = Setting("CODEX_CA_CERTIFICATE", TRUSTED, "Codex adds it to the system's; SSL_CERT_FILE would take their place")


def _shells(owner: str, settings: tuple[Setting, ...]) -> tuple[Spot, ...]:
    def spot(title: str, dialect: Name, *places: Where, first: str = "") -> Spot:
        return Spot(title, places, Block(dialect, owner), settings, first)

    return (
        spot("bash", "sh", Where("home", ".bashrc", ".bashrc", _UNIX, own_shell="bash")),
        spot("bash (login)", "sh", Where("home", ".bash_profile", ".bash_profile", ("Darwin",))),
        spot("zsh", "sh", Where("zsh", ".zshrc", ".zshrc", _UNIX, own_shell="zsh")),
        spot("fish", "fish", Where("xdg", "fish/conf.d/seatpool.fish", "fish", _UNIX)),
        spot(
            "PowerShell",
            "powershell",
            Where("documents", "PowerShell/Microsoft.PowerShell_profile.ps1", "PowerShell", _WINDOWS),
            Where("xdg", "powershell/Microsoft.PowerShell_profile.ps1", "powershell", _UNIX),
        ),
        spot(
            "Windows PowerShell",
            "powershell",
            Where("documents", "WindowsPowerShell/Microsoft.PowerShell_profile.ps1", "WindowsPowerShell", _WINDOWS),
            first="it runs no profile before: Set-ExecutionPolicy -Scope CurrentUser RemoteSigned",
        ),
    )


_DESKTOP = Spot(
    "programs that the desktop starts (systemd)",
    (
        Where("xdg", "environment.d/seatpool.conf", "environment.d", ("Linux",)),
        Where("xdg", "environment.d/seatpool.conf", "systemd", ("Linux",)),
        Where("xdg", "environment.d/seatpool.conf", "user-dirs.dirs", ("Linux",)),
    ),
    Block("environment.d", "shell"),
    (_HTTPS_PROXY, _NODE, _CODEX),
)
"""`user-dirs.dirs` is what every desktop leaves behind at its first start."""

# -- others

_JETBRAINS = (
    Setting("USE_HTTP_PROXY", "true", "Manual proxy configuration"),
    Setting("PROXY_HOST", HOST, "the plugin hands it to its language server"),
    Setting("PROXY_PORT", PORT, "the plugin hands it to its language server"),
    Setting("PROXY_TYPE_IS_SOCKS", "false", "it speaks HTTP", fine=(None,)),
    Setting("USE_PROXY_PAC", "false", "a PAC file would come before it", fine=(None,)),
    Setting("PROXY_EXCEPTIONS", "localhost,127.0.0.1,::1", "what talks to itself; yours are kept", kept=True),
)

_COPILOT_VIM = (
    Setting("g:copilot_proxy", PROXY, "copilot.vim and copilot.lua hand it to the language server as http.proxy"),
    Setting("g:copilot_proxy_strict_ssl", True, "without it copilot.lua would turn the check of certificates off"),
    Setting("NODE_EXTRA_CA_CERTS", TRUSTED, "the language server is Node: it adds this to its own"),
)

_ELSEWHERE = (
    "windows onto other machines (Remote-SSH, WSL, containers) look for this proxy there: seatpool setup vscode there,"
    ' or have "http.useLocalProxyConfiguration": false in the settings of that machine'
)
_PODMAN = (
    "podman hands these variables on to containers, whose loopback is another one: podman run --http-proxy=false,"
    " or --network=host (certs-howto.md)"
)
_CA_SHELL = "its shell has to be started anew; programs that were started before know nothing of it"

TARGETS = (
    Target(
        "vscode",
        "VS Code, VSCodium, Cursor, with Copilot's and Codex's extensions",
        (*VSCODE_SPOTS, CODEX_SPOT),
        "no VS Code, VSCodium or Cursor has been started here",
        signs=(*(place for spot in VSCODE_SPOTS for place in spot.places), *_IN_EXTENSIONS),
        trusts=(SYSTEM, NSS),
        then=(
            "quit and start the editor again: reloading the window is not enough for Codex's extension",
            _ELSEWHERE,
        ),
        check="send a chat message, then: seatpool why",
    ),
    Target(
        "codex",
        "Codex CLI, and Codex inside editors",
        (CODEX_SPOT,),
        "no Codex has been started here (CODEX_HOME, ~/.codex)",
        check='codex exec "say hi", then: seatpool why',
    ),
    Target(
        "copilot-cli",
        "Copilot CLI",
        (
            Spot(
                "Copilot CLI",
                (Where("copilot", "settings.json", "."),),
                Jsonc(),
                (Setting("proxyUrl", PROXY, "its own setting; other programs of the shell stay as they are"),),
            ),
            *_shells("copilot-cli", (_NODE,)),
        ),
        "no Copilot CLI has been started here (COPILOT_HOME, ~/.copilot)",
        signs=(Where("copilot", "", "."),),
        then=(_CA_SHELL,),
        check='copilot -p "say hi", then: seatpool why',
    ),
    Target(
        "jetbrains",
        "JetBrains' IDEs and Android Studio",
        (
            Spot(
                "JetBrains",
                (
                    Where("config", "JetBrains/*/options/proxy.settings.xml", "JetBrains/*/options"),
                    Where(
                        "config", "Google/AndroidStudio*/options/proxy.settings.xml", "Google/AndroidStudio*/options"
                    ),
                ),
                Options("HttpConfigurable"),
                _JETBRAINS,
            ),
        ),
        "no JetBrains IDE has been started here",
        trusts=(SYSTEM,),
        takes_login=False,
        then=("quit the IDE first: it writes its settings at its end", "its own store of certificates is left alone"),
        check="Settings > HTTP Proxy > Check connection with https://api.github.com, then a chat and: seatpool why",
    ),
    Target(
        "neovim",
        "Neovim and Vim with copilot.vim or copilot.lua",
        (
            Spot("Neovim", (Where("nvim", "plugin/seatpool.lua", "."),), Block("lua", "neovim"), _COPILOT_VIM),
            Spot(
                "Vim",
                (
                    Where("home", ".vim/plugin/seatpool.vim", ".vim", _UNIX),
                    Where("home", "vimfiles/plugin/seatpool.vim", "vimfiles", _WINDOWS),
                ),
                Block("vim", "neovim"),
                _COPILOT_VIM,
            ),
        ),
        "no Neovim (~/.config/nvim) or Vim (~/.vim) with a folder for settings is here",
        check="take a suggestion, then: seatpool why",
    ),
    Target(
        "opencode",
        "opencode",
        _shells("opencode", (_HTTPS_PROXY, _NODE)),
        "no opencode has been started here (~/.config/opencode, ~/.local/share/opencode)",
        signs=(Where("xdg", "", "opencode"), Where("home", "", ".local/share/opencode")),
        then=(_CA_SHELL,),
        check='opencode run "say hi", then: seatpool why',
    ),
    Target(
        "shell",
        "every program that a shell or the desktop starts",
        (*_shells("shell", (_HTTPS_PROXY, _NODE, _CODEX)), _DESKTOP),
        "no shell's start-up file is here",
        then=(_CA_SHELL, _PODMAN),
        check="echo $HTTPS_PROXY in a new shell; any Codex or Copilot in it, then: seatpool why",
    ),
)
