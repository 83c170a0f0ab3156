"""A thimble: the whole pipeline on a little of the embedded corpus, with a tiny network."""

import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipelines import attend, dissect, download, encode, evaluate, film, learn_subwords, prepare, register, train
from pipelines.compose import compose
from tests.pipelines.thimble import ROOT, THIMBLE


def stand_in(root: Path, patch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "ENTENTE_PARENT_RUN_ID"):
        patch.delenv(name, raising=False)
    patch.setenv("DVC_ROOT", str(root))
    patch.chdir(root)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which every stage ran once."""
    root = tmp_path_factory.mktemp("repository")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(root, patch)
        (root / "data").mkdir()
        (root / "data" / "grammar").symlink_to(ROOT / "data" / "grammar")
        shutil.copy(ROOT / "dvc.yaml", root)
        for folder in ("src", "pipelines", "conf"):
            (root / folder).symlink_to(ROOT / folder)
        (root / "params.yaml").write_text(OmegaConf.to_yaml(compose(THIMBLE, ROOT / "conf")))
        for stage in (download, prepare, learn_subwords, encode, train, attend, film, dissect, evaluate, register):
            stage.main()
    return root


@pytest.fixture
def there(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same repository, in which the test stands."""
    stand_in(built, monkeypatch)
    return built


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, but for conf/, in which the test stands."""
    stand_in(tmp_path, monkeypatch)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "docs").mkdir()
    return tmp_path
