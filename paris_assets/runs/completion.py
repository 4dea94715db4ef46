"""The script that completes commands, options and settings of `paris` in a shell."""

from __future__ import annotations

from paris_assets.definitions import asset_graph
from paris_assets.forecast.assumptions import RATE, SHIPPED
from paris_assets.forecast.hardware import shipped_hardware
from paris_assets.profiles import load_profile, setting_names, shipped_profiles
from paris_assets.runs.arguments import EXPORT_FORMATS, build_parser

BASH = """_paris() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    case "$prev" in
        --profile) COMPREPLY=($(compgen -W "{profiles}" -- "$cur") $(compgen -f -X '!*.y*ml' -- "$cur")); return ;;
        --select|--from) COMPREPLY=($(compgen -W "{assets}" -- "$cur")); return ;;
        --set) compopt -o nospace 2>/dev/null; COMPREPLY=($(compgen -S = -W "{settings}" -- "$cur")); return ;;
        --format) COMPREPLY=($(compgen -W "{formats}" -- "$cur")); return ;;
        --only) COMPREPLY=($(compgen -W "kept all" -- "$cur")); return ;;
        --hardware) COMPREPLY=($(compgen -W "{hardware}" -- "$cur") $(compgen -f -X '!*.y*ml' -- "$cur")); return ;;
        --assume) compopt -o nospace 2>/dev/null; COMPREPLY=($(compgen -S = -W "{figures}" -- "$cur")); return ;;
        --retry) COMPREPLY=($(compgen -W "transient" -- "$cur")); return ;;
        --root|--out|--source|--log-file|--queries|--html|--write) compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    case "${{COMP_WORDS[1]}}" in
{commands}
        *) words="{names} --help --version" ;;
    esac
    [ "$COMP_CWORD" -eq 1 ] && words="{names} --help --version"
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o bashdefault -F _paris paris
"""


def print_completion(shell: str) -> None:
    """Print the script for a shell, with the assets of the demo, every setting and the bounds of the demo's rules."""
    profile = load_profile("demo")
    rules = {"signal_rules": profile.curation.signal_rules, "score_rules": profile.curation.score_rules}
    bounds = [
        f"curation.{where}.{rule.name}.{bound}"
        for where, found in rules.items()
        for rule in found
        for bound in ("min", "max")
        if getattr(rule, bound, None) is not None
    ]
    assets = sorted(asset_graph(profile))
    print(completion_script(shell, shipped_profiles(), assets, setting_names(), bounds), end="")


def completion_script(
    shell: str, profiles: list[str], assets: list[str], settings: list[str], bounds: list[str]
) -> str:
    """A script for bash or zsh that completes commands, options, and names of profiles, assets and settings.

    Args:
        bounds: settings of rules, by their names.
    """
    choices = next(action.choices for action in build_parser()._actions if action.dest == "name")
    assert isinstance(choices, dict)
    options = {
        name: [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        for name, parser in choices.items()
    }
    options["completion"] += ["bash", "zsh"]
    options["settings"] += sorted({name.rpartition(".")[0] or name for name in settings})
    script = BASH.format(
        profiles=" ".join(profiles),
        assets=" ".join(assets),
        settings=" ".join([*settings, *bounds]),
        names=" ".join(choices),
        formats=" ".join(EXPORT_FORMATS),
        hardware=" ".join(shipped_hardware()),
        figures=" ".join([*SHIPPED, *(f"{RATE}{asset}" for asset in assets)]),
        commands="\n".join(f'        {name}) words="{" ".join(words)}" ;;' for name, words in options.items()),
    )
    return f"autoload -U +X bashcompinit && bashcompinit\n{script}" if shell == "zsh" else script
