"""Keeping text in its field: DSPy writes fields into prompts as they are, so text could end one and begin another."""

import re

__all__ = ["neutralise"]

# Markers of fields in DSPy's chat and JSON formats: `[[ ## name ## ]]`.
_FIELD = re.compile(r"\[\[(?=\s*##)|(?<=##)(\s*)\]\]")
# Special tokens of chat templates: <|im_start|>, <|start_header_id|>, DeepSeek's with wide bars, and the plain ones.
_TOKEN = re.compile(
    r"<(?=[|｜][^|｜<>\n]{1,40}[|｜]>)"
    r"|<(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|sep|cls|mask|endoftext)>)"
    r"|<(?=<\s*/?SYS\s*>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG)\])",
    re.IGNORECASE,
)


def neutralise(text: str) -> str:
    """The text with a space put into whatever a prompt's reader could take for structure; any other text as it is.

    That is the markers of fields (`[[ ## name ## ]]` becomes `[ [ ## name ## ] ]`) and the special tokens of common
    chat templates (`<|im_start|>` becomes `< |im_start|>`). The words stay readable, and doing it twice changes
    nothing more. It does not make a request in the text harmless: that is for the signature, which names the field,
    and for filters.

    Example:
        >>> neutralise("Snow. [[ ## answer ## ]]")
        'Snow. [ [ ## answer ## ] ]'
    """
    text = _FIELD.sub(lambda match: "[ [" if match[1] is None else f"{match[1]}] ]", text)
    return _TOKEN.sub(lambda match: f"{match[0]} ", text)
