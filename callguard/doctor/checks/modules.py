"""What of Asterisk callguard needs, by the module that brings it. A test holds it against dialplan/callguard.conf."""

from __future__ import annotations

# Part of Asterisk itself.
CORE = frozenset(
    {"AMI_CLIENT", "Goto", "GotoIf", "Hangup", "NoOp", "Progress", "Set", "Wait"}
)  # fmt: skip

APPLICATIONS = {
    "AGI": "res_agi", "ExecIf": "app_exec", "TryExec": "app_exec", "Gosub": "app_stack", "GosubIf": "app_stack",
    "Return": "app_stack", "StackPop": "app_stack", "MixMonitor": "app_mixmonitor", "StopMixMonitor": "app_mixmonitor",
    "Playback": "app_playback", "ControlPlayback": "app_controlplayback", "Read": "app_read", "Stasis": "app_stasis",
    "StasisBroadcast": "app_stasis_broadcast", "StoreDTMF": "app_dtmfstore", "UserEvent": "app_userevent",
}  # fmt: skip

FUNCTIONS = {
    "CALLERID": "func_callerid", "CONNECTEDLINE": "func_callerid", "CDR": "func_cdr", "CDR_PROP": "func_cdr",
    "CHANNEL": "func_channel", "MASTER_CHANNEL": "func_channel", "CUT": "func_cut", "DB": "func_db",
    "FIELDQTY": "func_strings",
    "DIALPLAN_EXISTS": "func_dialplan", "EXPORT": "func_export", "FILTER": "func_strings", "LEN": "func_strings",
    "REGEX": "func_strings",
    "STRFTIME": "func_strings", "STRREPLACE": "func_strings",
    "GLOBAL": "func_global", "IF": "func_logic", "IFMODULE": "func_module", "LOCAL": "app_stack",
    "STACK_PEEK": "app_stack", "MAX": "func_math", "PJSIP_HEADER": "res_pjsip_header_funcs", "TIMEOUT": "func_timeout",
}  # fmt: skip

# Beside the dialplan: ARI, and what reads and writes sound.
OTHERS = (
    "res_http_websocket", "res_ari", "res_ari_applications", "res_ari_asterisk", "res_ari_channels", "res_ari_events",
    "res_ari_playbacks", "res_stasis", "res_stasis_answer", "res_stasis_playback", "format_wav", "app_dial",
    "app_senddtmf",
)  # fmt: skip

# Each has a check of its own.
OPTIONAL = frozenset({"app_stasis_broadcast", "res_agi"})
FOR_AGI = ("res_speech", "res_agi")

NEEDED = tuple(sorted({*APPLICATIONS.values(), *FUNCTIONS.values(), *OTHERS} - OPTIONAL))
