"""A workload of a manifest is chosen, also in lists and in several documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.scaffold.kube.manifest import Workload, load_workload

POD = "{kind: Pod, metadata: {name: web}, spec: {containers: [{name: web}]}}"
TWO = f"{POD}\n---\n{{kind: Job, metadata: {{name: web}}, spec: {{template: {{spec: {{odd: 1}}}}}}}}"


def loaded(tmp_path: Path, text: str, chosen: str | None = None) -> Workload:
    file = tmp_path / "pod.yaml"
    file.write_text(text)
    return load_workload(file, chosen)


@pytest.mark.parametrize(
    "text",
    [
        POD,
        f"---\n{POD}\n---\n",
        f"{{kind: List, items: [{POD}]}}",
        f"{{kind: PodList, items: [{POD}, 1]}}",
        f"{{kind: Service, metadata: {{name: web}}}}\n---\n{POD}",
    ],
)
def test_the_only_workload_is_taken(text: str, tmp_path: Path) -> None:
    workload = loaded(tmp_path, text)
    assert (workload.title, workload.pod) == ("Pod/web", {"containers": [{"name": "web"}]})


def test_the_pod_of_a_cron_job_is_that_of_its_job(tmp_path: Path) -> None:
    text = "{kind: CronJob, metadata: {name: a}, spec: {jobTemplate: {spec: {template: {spec: {odd: 1}}}}}}"
    workload = loaded(tmp_path, text)
    assert (workload.pod, workload.ends) == ({"odd": 1}, True)
    assert workload.path == "spec.jobTemplate.spec.template.spec"


@pytest.mark.parametrize(("chosen", "title"), [("Job/web", "Job/web"), ("pod/web", "Pod/web")])
def test_one_of_several_is_chosen(chosen: str, title: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, TWO, chosen).title == title


@pytest.mark.parametrize("chosen", [None, "web"])
def test_several_are_listed(chosen: str | None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several workloads") as error:
        loaded(tmp_path, TWO, chosen)
    assert "Pod/web, Job/web" in error.value.detail
    assert "--object" in error.value.hint


def test_an_unknown_one_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no workload 'Pod/wob'") as error:
        loaded(tmp_path, TWO, "Pod/wob")
    assert "'Pod/web'" in error.value.hint


@pytest.mark.parametrize("text", ["", "1", "[]", "{kind: Service}", "{kind: [Pod]}", "services: {web: {}}"])
def test_a_file_without_a_workload_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no workload"):
        loaded(tmp_path, text)


def test_the_data_of_config_maps_is_read(tmp_path: Path) -> None:
    text = f"{POD}\n---\n{{kind: ConfigMap, metadata: {{name: conf}}, data: {{A: b}}}}"
    workload = loaded(tmp_path, text)
    assert (workload.config_maps, workload.others) == (
        {"conf": {"A": "b"}},
        {"ConfigMap": ("conf",)},
    )


def test_for_a_manifest_that_is_too_large_there_is_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too large") as error:
        loaded(tmp_path, f"a: {'x' * 300_000}")
    assert "file of their own" in error.value.hint
