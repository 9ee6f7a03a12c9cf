"""Two language models in one program: CodecLM keeps what a strong model answers and the model to train does not.

Give each role its LM. On a machine without servers both are the embedded model here, a calm one and a wild one, which
shows the wiring and not the method; with servers:

    lms = {"strong": sw.openai_lm("Qwen/Qwen3-32B", "http://big:8000/v1"), "target": sw.openai_lm("mine", "http://small:8000/v1")}

On the command line: synthwright generate codeclm --lm embedded --role target=my-model --api-base http://small:8000/v1
"""

import synthwright as sw
from synthwright.programs.codeclm import CodecLM

if __name__ == "__main__":
    strong, target = sw.embedded_lm(temperature=0.2), sw.embedded_lm(temperature=1.0)
    run = sw.generate(
        CodecLM(contrast="always", iterations=1, rubrics=1, keep_unaccepted=True),
        n=1,
        lms={"generator": strong, "strong": strong, "target": target},
        budget=sw.Budget(calls=40),
        out="runs/strong-and-target",
    )
    for (role, predictor), usage in sorted(run.usage.items()):
        print(f"{role:<10} {predictor:<15} {usage.calls} calls, {usage.tokens} tokens")
    for row in run:
        print(f"\n{row.instruction}\n-> {row.response[:200]}")
    print(f"\n{run.funnel}\n{run.stopped}")
