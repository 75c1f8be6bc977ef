"""From errors to one clear line, and from a command line to a study's name."""

from omegaconf.errors import ConfigAttributeError

from ser_lightning.command import explain, study_name


def test_equal_commands_share_a_study_whatever_their_order_and_paths():
    one = study_name(["loss.lam=0,0.5", "corpus=emodb", "corpus.root=/a"])
    assert one == study_name(["corpus=emodb", "corpus.root=/b/c", "paths.output=/d", "loss.lam=0,0.5", "logger=csv"])
    assert one != study_name(["loss.lam=0,0.6", "corpus=emodb"])
    assert study_name([]) == "default"


def test_long_names_stay_apart():
    many = ",".join(str(i / 100) for i in range(60))
    one, other = study_name([f"loss.lam={many}"]), study_name([f"loss.lam={many},9"])
    assert one != other
    assert len(one) <= 80


def test_an_unknown_key_names_the_one_that_was_meant():
    error = ConfigAttributeError("Could not override 'loss.lamda'.\nTo append to your config use +loss.lamda=0.5")
    assert explain(error) == "loss.lamda is not a setting; did you mean loss.lam?"


def test_a_key_of_another_corpus():
    error = ConfigAttributeError("Could not override 'corpus.overlap'.\nTo append to your config use +...")
    assert explain(error) == "corpus.overlap is not a setting of the corpus that was chosen"


def test_an_absent_choice_names_those_there_are():
    error = ConfigAttributeError("In 'train': Could not find 'features/mfcc'\n\nAvailable options in 'features':...")
    assert explain(error) == "there is no features=mfcc; choose one of logmel, logstft"


def test_other_errors_are_folded_into_one_line():
    assert explain(ValueError("one\n\n  two\nSet the environment variable HYDRA_FULL_ERROR=1")) == "one two"
