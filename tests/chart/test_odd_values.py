"""Sets of values that operators could write by mistake: the chart refuses each of odd_values.yaml as that file says, or renders it to what Kubernetes and
the service accept."""

import re

import yaml

import generated
from rendering import NAMESPACE, RELEASE, ROOT

ROWS = yaml.safe_load((ROOT / "tests/chart/odd_values.yaml").read_text(encoding="utf-8"))
KUBERNETES = next(version for version in generated.VERSIONS if version.startswith("1.34."))


def test_each_set_is_refused_with_a_cure_or_is_right(tmp_path):
    sets = [{"release": RELEASE, "namespace": NAMESPACE, "kubernetes": KUBERNETES, "values": each["values"]} for each in ROWS]
    verdicts, configs, wrong = generated.Verdicts(), {}, []
    for index, (row, result) in enumerate(zip(ROWS, generated.rendered(sets), strict=True)):
        if "refused" in row:
            error = result.get("error", "it renders")
            if row["refused"] not in error or generated.refusal_problem(error):
                wrong.append(f"{row['set']}: {error}")
        elif "error" in result:
            wrong.append(f"{row['set']}: {result['error']}")
        else:
            problems, config = verdicts.of(result["manifest"], KUBERNETES)
            wrong += [f"{row['set']}: {problem}" for problem in problems]
            if not re.search(r"\$\{\w+\}", config):
                configs[index] = config
    wrong += [f"{ROWS[index]['set']}: check: {problems}" for index, problems in generated.check(configs, tmp_path).items()]
    assert not wrong, "\n".join(wrong)


def test_names_of_sets_are_unique():
    names = [row["set"] for row in ROWS]
    assert len(names) == len(set(names))
