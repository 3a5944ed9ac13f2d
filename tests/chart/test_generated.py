"""Random values: each set is rejected with a path, or renders to objects that Kubernetes and the service accept."""

import pytest

import generated

# Sets for each seed. `tests/chart/generated` draws more.
SETS = 500


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_what_renders_is_accepted_and_what_is_rejected_names_a_path(seed, tmp_path):
    counts, failures = generated.run(SETS, seed, tmp_path)
    print(counts)
    shown = "\n\n".join(f"{problem}\n{each}" for each, problem in failures[:5])
    assert not failures, f"{counts}\n{shown}"
    assert counts["sets"] == SETS
    # The test reads the sets from both ends.
    assert counts["refused"] > SETS / 10
    assert counts["rendered"] > SETS / 10
