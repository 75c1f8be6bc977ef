import numpy as np
import pandas as pd

from ser_lightning.report.sections.curves import on_common_steps


def test_runs_are_put_on_the_steps_of_the_first_as_far_as_all_go():
    first = pd.DataFrame({"step": [0, 5, 10, 15, 20], "dev/ua": [0.0, np.nan, 0.4, np.nan, 0.6]})
    # Told twice at one step: the later counts; ends earlier, at other steps
    second = pd.DataFrame({"step": [0, 8, 8, 16], "dev/ua": [0.2, 0.0, 0.4, 0.8]})
    found = on_common_steps([first, second], "dev/ua")
    assert found.index.tolist() == [0, 10]
    np.testing.assert_allclose(found.to_numpy(), [[0.0, 0.2], [0.4, 0.5]])
