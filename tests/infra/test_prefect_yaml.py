"""`infra/prefect.yaml`: templates held to Prefect's own schemas; the process pool for real."""

import copy
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import requests
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "infra" / "prefect.yaml"
POOL = REPOSITORY / "infra" / "kubernetes-pool.json"
TEXT = FILE.read_text("utf-8")
DEPLOYMENTS = {deployment["name"]: deployment for deployment in yaml.safe_load(TEXT)["deployments"]}


def shipped(kind):
    """Return Prefect's own template of a work pool."""
    package = files("prefect.server.api.collections_data")
    known = json.loads((package / "views" / "aggregate-worker-metadata.json").read_text("utf-8"))
    found = [workers[kind] for workers in known.values() if kind in workers]
    return found[0]["default_base_job_configuration"]


TEMPLATES = {
    "process": shipped("process"),
    "docker": shipped("docker"),
    "kubernetes": json.loads(POOL.read_text("utf-8")),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_job_variables_are_what_the_pool_knows(name):
    given, schema = DEPLOYMENTS[name]["work_pool"]["job_variables"], TEMPLATES[name]["variables"]
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(given, schema)
    assert set(given) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("docker", "volumes", "/a:/b"),
        ("docker", "image_pull_policy", "Sometimes"),
        ("kubernetes", "env", []),
    ],
)
def test_the_schemas_refuse_what_is_wrong(name, variable, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({variable: value}, TEMPLATES[name]["variables"])


def test_the_kubernetes_pool_is_prefects_own_and_little_more():
    ours, pod = copy.deepcopy(TEMPLATES["kubernetes"]), ["job_manifest", "spec", "template", "spec"]
    for name in ("volumes", "volume_mounts"):
        del ours["variables"]["properties"][name]
    spec = ours["job_configuration"]
    for key in pod:
        spec = spec[key]
    assert spec.pop("volumes") == "{{ volumes }}"
    container = spec["containers"][0]
    assert container.pop("volumeMounts") == "{{ volume_mounts }}"
    assert container.pop("envFrom") == [{"secretRef": {"name": "penstock", "optional": True}}]
    assert ours == shipped("kubernetes")


def test_every_variable_is_explained_and_no_password_is_in_the_file():
    used = set(re.findall(r"\{\{ \$(\w+) \}\}", TEXT))
    assert used == set(re.findall(r"^#   export (\w+)=", TEXT, re.MULTILINE))
    assert not re.search(r"(?i)password: |auth_string: |secret: ", TEXT)


def test_every_deployment_names_the_module_and_waits_its_turn():
    for deployment in DEPLOYMENTS.values():
        assert deployment["entrypoint"] == "flows.pipeline.pipeline"
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


@pytest.fixture
def prefect(prefect_server, outside, tmp_path, write_spec):
    """Run Prefect's command line against a real server, for a small project."""
    (tmp_path / "project").mkdir()
    env = {
        **outside,
        "PENSTOCK_HOME": str(tmp_path / "home"),
        "PENSTOCK_PROJECT": str(tmp_path),
        "PENSTOCK_SETTINGS": str(tmp_path / "spec.toml"),
        "PREFECT_API_URL": prefect_server,
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.long
def test_a_worker_finishes_what_was_deployed_from_the_file(
    prefect, prefect_server, small_runs, tmp_path
):
    small_runs(tmp_path)  # writes spec.toml and its table
    for name, template in TEMPLATES.items():
        pool = {"name": DEPLOYMENTS[name]["work_pool"]["name"], "type": name}
        pool["base_job_template"] = template
        answer = requests.post(f"{prefect_server}/work_pools/", json=pool, timeout=60)
        assert answer.status_code in {201, 409}, answer.text  # made, or there already
    prefect("deploy", "--prefect-file", str(FILE), "--all")

    def ask(path, **question):
        answer = requests.post(f"{prefect_server}/{path}", json=question, timeout=30)
        answer.raise_for_status()
        return answer.json()

    made = {d["name"]: d for d in ask("deployments/filter") if d["name"] in TEMPLATES}
    assert set(made) == set(TEMPLATES)
    assert made["docker"]["job_variables"]["volumes"][0] == f"{tmp_path}:{tmp_path}"
    assert made["kubernetes"]["job_variables"]["volume_mounts"][1]["mountPath"] == str(tmp_path)

    run = ask(f"deployments/{made['process']['id']}/create_flow_run")
    worker = ("--pool", "penstock", "--type", "process", "--install-policy", "never")
    said = prefect("worker", "start", *worker, "--run-once")
    ended = ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})[0]["state"]
    assert (ended["type"], ended["name"]) == ("COMPLETED", "Promoted"), f"{ended}\n{said}"
    assert (tmp_path / "home" / "mlflow.db").exists()
