"""The scripts that start, read, stop and restore a unit, run with sh in a sandbox with a fake systemd."""

from __future__ import annotations

import shutil

import pytest

from selab.guest import Completed, script_argv

from .service_guest import CONTEXTS, DOMAIN, EXECUTOR, GROUP, INIT, MANAGER, NEW, OLD, UNIT, WEB, ServiceGuest

START, RESET = f"systemctl start -- {UNIT}", f"systemctl reset-failed -- {UNIT}"
STOP = f"systemctl stop -- {UNIT}"
TRANSIENT = ("--unit=web.service", "--", "/usr/sbin/web")


def labels(done: Completed) -> set[str]:
    """The labels in what a script printed, which must end with the line `end`."""
    *lines, end = done.text.splitlines()
    assert end == "end"
    return {line.removeprefix("label ") for line in lines if line.startswith("label ")}


def values(done: Completed) -> dict[str, str]:
    pairs = (line.partition(" ") for line in done.text.splitlines())
    return {key: value for key, _, value in pairs if key not in ("label", "end")}


# --- start ----------------------------------------------------------------------------------------


def test_a_start_reports_the_main_process_and_its_label(guest: ServiceGuest) -> None:
    done = guest.starts()
    assert (done.returncode, done.error_text, labels(done)) == (0, "", {WEB})
    assert values(done) == {"invocation": NEW, "result": "success", "code": "0", "status": "0", "pid": "77"}
    assert guest.changes == [RESET, START]


def test_a_transient_unit_is_started_by_systemd_run(guest: ServiceGuest) -> None:
    guest.unit(LoadState="not-found")
    done = guest.starts(TRANSIENT)
    assert (done.returncode, labels(done), guest.records) == (0, {WEB}, {UNIT: "inactive"})
    assert guest.changes == [RESET, "systemd-run --unit=web.service -- /usr/sbin/web"]


def test_an_interrupted_runs_transient_unit_is_removed_first(guest: ServiceGuest) -> None:
    guest.unit(ActiveState="active")
    guest.starts(TRANSIENT)
    assert (guest.changes[:2], guest.records) == ([STOP, RESET], {UNIT: "inactive"})


@pytest.mark.parametrize("state", ["active", "activating", "reloading"])
def test_an_active_unit_is_stopped_first_and_remembered(guest: ServiceGuest, state: str) -> None:
    guest.unit(ActiveState=state)
    guest.on("stop", "cat run/selab/services/web.service >seen")
    guest.starts()
    assert guest.changes == [STOP, RESET, START]
    assert (guest.root / "seen").read_text() == "active\n"


@pytest.mark.parametrize(("state", "first"), [("inactive", RESET), ("failed", RESET), ("deactivating", STOP)])
def test_a_unit_that_is_not_active_is_remembered_as_inactive(
    guest: ServiceGuest, state: str, first: str
) -> None:
    guest.unit(ActiveState=state)
    guest.starts()
    assert (guest.changes[0], guest.records) == (first, {UNIT: "inactive"})


def test_what_a_unit_was_before_an_interrupted_run_is_not_forgotten(guest: ServiceGuest) -> None:
    guest.record("active")
    guest.starts()
    assert guest.records == {UNIT: "active"}


def test_every_process_is_read_also_below_the_units_cgroup(guest: ServiceGuest) -> None:
    guest.process(78, INIT, f"{GROUP}/worker")
    assert labels(guest.starts()) == {WEB, INIT}


def test_the_processes_of_a_cgroup_of_version_1_are_read(guest: ServiceGuest) -> None:
    guest.process(78, INIT, f"/systemd{GROUP}")
    assert labels(guest.starts()) == {WEB, INIT}


@pytest.mark.parametrize("exe", [MANAGER, EXECUTOR])
def test_a_copy_of_systemd_is_not_taken_for_the_service(guest: ServiceGuest, exe: str) -> None:
    guest.process(78, INIT, exe=exe)
    guest.program("sleep", f'[ "$1" = 0.03 ] || echo {WEB} >"{guest.path("/proc/78/attr/current")}"; '
                  f'ln -sfn /usr/sbin/web "{guest.path("/proc/78/exe")}"')  # fmt: skip
    assert labels(guest.starts()) == {WEB}


def test_a_copy_of_systemd_that_stays_is_read_as_it_is(guest: ServiceGuest) -> None:
    guest.process(78, INIT, exe=EXECUTOR)
    assert labels(guest.starts()) == {WEB, INIT}


def test_a_service_without_a_main_process_has_one_of_its_processes(guest: ServiceGuest) -> None:
    guest.on("start", guest.becomes(MainPID=0))
    assert values(guest.starts())["pid"] == "77"


@pytest.mark.parametrize(
    ("slice_", "group"),
    [
        ("system.slice", "/system.slice/web.service"),
        ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/web.service"),
        ("-.slice", "/web.service"),
    ],
)
def test_the_label_of_a_service_that_ends_at_once_was_seen_before(
    guest: ServiceGuest, slice_: str, group: str
) -> None:
    guest.unit(Slice=slice_)
    guest.path(f"/sys/fs/cgroup{GROUP}/cgroup.procs").unlink()
    guest.process(76, INIT, group)
    guest.process(75, WEB, group)
    wait = "until [ -e run/selab/labels-web.service ]; do :; done"
    ended = guest.becomes(ControlGroup="", MainPID=0, ExecMainCode=1)
    guest.on("start", f"{wait}; rm -r proc/75 proc/76 sys/fs/cgroup{group}\n{ended}")
    done = guest.starts()
    assert (values(done)["pid"], labels(done)) == ("0", {WEB})


def test_nothing_of_an_earlier_service_is_reported(guest: ServiceGuest) -> None:
    guest.write("/run/selab/labels-web.service", f"{INIT}\n")
    assert labels(guest.starts()) == {WEB}


@pytest.mark.parametrize("state", ["not-found", "masked", "bad-setting"])
def test_a_unit_that_cannot_be_loaded_is_not_touched(guest: ServiceGuest, state: str) -> None:
    guest.unit(LoadState=state)
    done = guest.starts()
    assert (done.returncode, done.text, done.error_text) == (3, "", f"{state}\n")
    assert (guest.changes, guest.records) == ([], {})


def test_an_alias_of_another_unit_is_not_touched(guest: ServiceGuest) -> None:
    guest.unit(Id="ssh.service")
    done = guest.starts()
    assert (done.returncode, done.text, done.error_text) == (4, "", "ssh.service\n")
    assert (guest.changes, guest.records) == ([], {})


def test_a_unit_that_cannot_be_stopped_is_not_started(guest: ServiceGuest) -> None:
    guest.unit(ActiveState="active")
    guest.on("stop", "echo 'it may not be' >&2; exit 4")
    done = guest.starts()
    assert (done.returncode, done.error_text, guest.changes) == (5, "it may not be\n", [STOP])


def test_a_unit_that_does_not_start_is_reported_with_its_log(guest: ServiceGuest) -> None:
    guest.write("/units/journal", "no permission\n")
    guest.on(
        "start", guest.becomes(Result="exit-code", ExecMainCode=1, ExecMainStatus=3) + "echo no >&2; exit 1"
    )
    done = guest.starts()
    assert (done.returncode, done.error_text) == (1, "no\nno permission\n")
    assert values(done) == {"invocation": NEW, "result": "exit-code", "code": "1", "status": "3"}
    assert (
        f"journalctl --quiet --no-pager --output=cat --lines=5 _SYSTEMD_INVOCATION_ID={NEW}" in guest.called
    )


def test_the_log_of_an_earlier_start_is_not_shown(guest: ServiceGuest) -> None:
    guest.write("/units/journal", "long ago\n")
    guest.on("start", "echo 'a dependency failed' >&2; exit 1")
    done = guest.starts()
    assert (done.returncode, done.error_text, values(done)["invocation"]) == (1, "a dependency failed\n", OLD)


def test_a_start_that_takes_too_long_is_reported(guest: ServiceGuest) -> None:
    guest.on("start", "exit 124")
    done = guest.starts()
    assert (done.returncode, done.error_text) == (1, "it did not start within 120 seconds\n")


@pytest.mark.parametrize("status", [200, 203, 243])
def test_a_program_that_systemd_cannot_execute_did_not_start(guest: ServiceGuest, status: int) -> None:
    """A unit of type `simple` counts as started before its program is executed."""
    guest.on("start", guest.becomes(Result="exit-code", ExecMainCode=1, ExecMainStatus=status, MainPID=0))
    assert guest.starts().returncode == 1


@pytest.mark.parametrize(("code", "status"), [(1, 1), (1, 199), (1, 244), (2, 203)])
def test_a_program_that_ends_with_an_error_has_started(guest: ServiceGuest, code: int, status: int) -> None:
    result = "exit-code" if code == 1 else "signal"
    guest.on("start", guest.becomes(Result=result, ExecMainCode=code, ExecMainStatus=status, MainPID=0))
    done = guest.starts()
    assert (done.returncode, values(done)["status"]) == (0, str(status))


DIRECTORIES = {
    "RuntimeDirectory": "web web/x",
    "StateDirectory": "web:link",
    "CacheDirectory": "web",
    "LogsDirectory": "web there",
}


@pytest.fixture
def labelling(guest: ServiceGuest) -> ServiceGuest:
    """A guest whose unit has directories, one of which exists, with the candidates' contexts."""
    guest.unit(**DIRECTORIES)
    guest.write(CONTEXTS, "/x u:object_r:x_t:s0\n")
    guest.path("/var/log/there").mkdir(parents=True)
    guest.program("matchpathcon", '[ "$1 $2 $3 $4" = "-n -m dir -f" ] && [ -e "$5" ] && echo "label of $6"')
    guest.program("chcon")
    return guest


def test_the_directories_that_systemd_would_create_are_labelled(labelling: ServiceGuest) -> None:
    assert labelling.starts().returncode == 0
    places = [labelling.path(place) for place in ("/run/web", "/run/web/x", "/var/lib/web", "/var/cache/web")]
    places.append(labelling.path("/var/log/web"))
    assert all(place.is_dir() for place in places)
    assert [call for call in labelling.called if call.startswith("chcon")] == [
        f"chcon label of {place} {place}" for place in places
    ]


def test_systemd_itself_creates_the_directories_of_a_dynamic_user(labelling: ServiceGuest) -> None:
    labelling.unit(**DIRECTORIES, DynamicUser="yes")
    labelling.starts()
    assert len([call for call in labelling.called if call.startswith("chcon")]) == 2


def test_without_file_contexts_systemd_creates_all_directories(labelling: ServiceGuest) -> None:
    labelling.path(CONTEXTS).unlink()
    assert labelling.starts().returncode == 0
    assert not labelling.path("/run/web").exists()


def test_a_directory_that_cannot_be_labelled_stops_the_start(labelling: ServiceGuest) -> None:
    labelling.program("chcon", "echo no >&2; exit 1")
    done = labelling.starts()
    assert (done.returncode, done.error_text, START in labelling.changes) == (6, "no\n", False)


# --- stop -----------------------------------------------------------------------------------------


@pytest.fixture
def started(guest: ServiceGuest) -> ServiceGuest:
    guest.starts()
    (guest.root / "called").unlink()
    return guest


def test_the_labels_are_read_again_before_a_stop(started: ServiceGuest) -> None:
    started.process(78, INIT)
    started.on("stop", "rm -r proc/77 proc/78")
    done = started.stops()
    assert (done.returncode, labels(done)) == (0, {WEB, INIT})
    assert values(done) == {
        "active": "active",
        "restarts": "0",
        "result": "success",
        "code": "0",
        "status": "0",
    }
    assert (started.changes, started.records) == ([STOP, RESET], {})
    assert not started.path("/run/selab/labels-web.service").exists()


def test_the_record_of_a_unit_that_was_active_stays_until_it_is_restored(started: ServiceGuest) -> None:
    started.record("active")
    started.stops()
    assert started.records == {UNIT: "active"}


def test_a_unit_that_remains_is_only_read(started: ServiceGuest) -> None:
    done = started.stops(remains="1")
    assert (done.returncode, labels(done), started.changes) == (0, {WEB}, [])
    assert started.records == {UNIT: "inactive"}


def test_a_unit_that_failed_is_reset(started: ServiceGuest) -> None:
    started.unit(ActiveState="failed", Result="signal", ExecMainCode=2, ExecMainStatus=11, NRestarts=3)
    done = started.stops()
    assert values(done) == {
        "active": "failed",
        "restarts": "3",
        "result": "signal",
        "code": "2",
        "status": "11",
    }
    assert started.changes == [RESET]


def test_a_unit_that_does_not_stop_is_killed(started: ServiceGuest) -> None:
    started.on("stop", "[ -e killed ] || exit 124")
    started.on("kill", ">killed")
    assert started.stops().returncode == 0
    assert started.changes == [STOP, f"systemctl kill --signal=KILL -- {UNIT}", STOP, RESET]


def test_a_unit_that_cannot_be_stopped_is_tried_again_by_the_next_run(started: ServiceGuest) -> None:
    started.on("stop", "exit 1")
    assert (started.stops().returncode, started.records) == (5, {UNIT: "inactive"})


# --- restore --------------------------------------------------------------------------------------


def restored(guest: ServiceGuest) -> Completed:
    return guest.run(script_argv("service/restore"))


def test_nothing_is_restored_if_no_run_left_anything(guest: ServiceGuest) -> None:
    assert (restored(guest).returncode, guest.called) == (0, [])


def test_units_become_again_what_they_were(guest: ServiceGuest) -> None:
    guest.record("active", "a.service")
    guest.record("inactive", "b.service")
    guest.write("/run/selab/labels-b.service", WEB)
    assert (restored(guest).returncode, guest.records) == (0, {})
    assert [call for call in guest.changes if "reset-failed" not in call] == [
        "systemctl restart -- a.service",
        "systemctl stop -- b.service",
    ]
    assert not guest.path("/run/selab/labels-b.service").exists()


def test_a_transient_unit_that_has_gone_is_restored(guest: ServiceGuest) -> None:
    guest.record("inactive")
    guest.on("stop", "exit 5")
    assert (restored(guest).returncode, guest.records) == (0, {})


@pytest.mark.parametrize(("state", "command"), [("active", "restart"), ("inactive", "stop")])
def test_a_unit_that_cannot_be_restored_is_named_once(guest: ServiceGuest, state: str, command: str) -> None:
    guest.record(state)
    guest.record("inactive", "z.service")
    guest.on(command, 'case $unit in web.service) echo "it broke" >&2; exit 1 ;; esac')
    done = restored(guest)
    assert (done.returncode, done.error_text, guest.records) == (1, f"it broke\nnot restored: {UNIT}\n", {})


# --- wait-for-end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "printed"), [(1, 0, "0\n"), (1, 3, "3\n"), (2, 9, "137\n"), (3, 6, "134\n")]
)
def test_the_exit_code_of_the_main_process_is_printed(
    guest: ServiceGuest, code: int, status: int, printed: str
) -> None:
    guest.unit(ExecMainCode=code, ExecMainStatus=status)
    done = guest.run(script_argv("service/wait-for-end", "99", UNIT, "1"))
    assert (done.returncode, done.text) == (0, printed)


def test_an_end_that_systemd_does_not_know_is_an_error(guest: ServiceGuest) -> None:
    done = guest.run(script_argv("service/wait-for-end", "99", UNIT, "1"))
    assert (done.returncode, done.text) == (2, "")


def test_a_process_that_still_runs_is_reported(guest: ServiceGuest) -> None:
    done = guest.run(script_argv("service/wait-for-end", "77", UNIT, "0"))
    assert (done.returncode, done.text) == (1, "it still runs after 0 seconds\n")


# --- packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("manager", ["dpkg-query", "rpm"])
def test_packages_that_are_not_installed_are_named(guest: ServiceGuest, manager: str) -> None:
    guest.environment["PATH"] = str(guest.path("/bin"))
    if manager == "dpkg-query":
        guest.program(
            manager, "case $3 in a) printf installed ;; b) printf config-files ;; *) exit 1 ;; esac"
        )
    else:
        guest.program(manager, '[ "$3" = a ]')
    done = guest.run(script_argv("service/missing-packages", "a", "b", "c"))
    assert (done.returncode, done.text) == (0, "b\nc\n")


def test_packages_are_installed_without_their_services(guest: ServiceGuest) -> None:
    guest.program("dpkg")
    policy = guest.path("/usr/sbin/policy-rc.d")
    install = f'{policy}; echo $? >"{guest.root}/answer"; echo "$@"; exit 7'
    done = guest.run(script_argv("service/install-packages", install, "a", "b"))
    assert (done.returncode, done.text) == (7, "a b\n")
    assert (guest.root / "answer").read_text() == "101\n"
    assert not policy.exists()


def test_the_administrators_policy_stays(guest: ServiceGuest) -> None:
    guest.program("dpkg")
    guest.write("/usr/sbin/policy-rc.d", "mine")
    guest.run(script_argv("service/install-packages", "exit 0", "a"))
    assert guest.path("/usr/sbin/policy-rc.d").read_text() == "mine"


def test_the_domain_is_compared_as_a_whole(guest: ServiceGuest) -> None:
    """The watcher takes no process of a type whose name merely contains the domain's."""
    guest.process(76, f"u:r:x{DOMAIN}:s0")
    guest.process(75, f"u:r:{DOMAIN}_x:s0")
    procs = guest.path(f"/sys/fs/cgroup{GROUP}/cgroup.procs")
    procs.write_text("76\n75\n")
    guest.on("start", "sleep 0.3; rm -r sys/fs/cgroup/system.slice\n" + guest.becomes(ControlGroup=""))
    (guest.path("/bin") / "sleep").unlink()
    assert labels(guest.starts()) == set()


# --- describe -------------------------------------------------------------------------------------


@pytest.fixture
def packaged(guest: ServiceGuest) -> ServiceGuest:
    """A guest with a unit of a package that has files, and a socket unit; the unit runs as process 77."""
    start = guest.path("/usr/sbin/web-start")
    start.symlink_to(guest.path("/usr/sbin/web"))
    guest.unit(
        ExecStart=f"{{ path={start} ; argv[]={start} -x; y ; ignore_errors=no ; pid=0 }}",
        FragmentPath="/usr/lib/systemd/system/web.service",
        TriggeredBy="web.timer web.socket",
        ControlGroup=GROUP,
    )
    guest.write("/units/web.socket", "Listen=/run/web.sock (Stream)\n")
    guest.program("matchpathcon", '[ "$1 $2 $3" = "-n -m file" ] && echo "label of $4"')
    guest.program("ss", "cat <<'END'\n" + LISTENING + "END")
    guest.path("/etc/web").mkdir(parents=True)
    guest.write("/etc/web/web.conf", "")
    guest.path("/etc/web/link").symlink_to("web.conf")
    guest.write("/usr/lib/tmpfiles.d/web.conf", "# comment\n\nd /run/web\n")
    return guest


LISTENING = """\
tcp   LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("web",pid=77,fd=6),("web",pid=78,fd=6))
tcp   LISTEN 0 511 0.0.0.0:81 0.0.0.0:* users:(("other",pid=7,fd=6))
udp   UNCONN 0 0 *:53 *:* users:(("x",pid=177,fd=1))
"""
FILES = "/etc /etc/web /etc/web/web.conf /etc/web/link /usr/lib/tmpfiles.d/web.conf /usr/sbin/web"


def description(guest: ServiceGuest) -> list[str]:
    done = guest.run(script_argv("service/describe", UNIT, "User", "PIDFile"))
    assert (done.returncode, done.text.splitlines()[-1]) == (0, "Complete=yes")
    return [line for line in done.text.splitlines() if line.startswith(DESCRIBED)]


DESCRIBED = ("Entry", "Package", "Directory", "File", "Tmpfiles", "Listen")


def expected(guest: ServiceGuest, package: str) -> list[str]:
    web = guest.path("/usr/sbin/web")
    return [
        "Listen=/run/web.sock (Stream)",
        f"Entry={web}",
        f"EntryContext=label of {web}",
        "EntryPackage=web-bin",
        f"Package={package}",
        f"Directory={guest.path('/etc/web')}",
        f"File={guest.path('/etc/web/web.conf')}",
        "Tmpfiles=d /run/web",
        "Listening=tcp 0.0.0.0:80",
    ]


def listed(guest: ServiceGuest) -> str:
    return " ".join(str(guest.path(path)) for path in FILES.split())


def test_a_unit_of_debian_is_described(packaged: ServiceGuest) -> None:
    program = packaged.path("/usr/sbin/web")
    packaged.program(
        "dpkg-query",
        f'case "$1 $2" in "--search {program}") echo "diversion by x from: $2"; echo "web-bin:amd64: $2" ;; '
        '"--search /lib/"*) echo "web, web-common: $2" ;; '
        f'"--listfiles web") printf "%s\\n" {listed(packaged)} ;; *) exit 1 ;; esac',
    )
    lines = expected(packaged, "web")
    assert description(packaged) == [*lines[:5], "Package=web-common", *lines[5:]]


def test_a_unit_of_an_rpm_package_is_described(packaged: ServiceGuest) -> None:
    packaged.environment["PATH"] = str(packaged.path("/bin"))
    for name in ("cat", "sed", "sort", "head", "readlink", "find", "grep"):
        packaged.path(f"/bin/{name}").symlink_to(shutil.which(name) or "")
    program = packaged.path("/usr/sbin/web")
    packaged.program(
        "rpm",
        f'case "$*" in *"--file {program}") echo web-bin ;; *"--file /usr/lib/systemd"*) echo web ;; '
        f'"-q --list web") printf "%s\\n" {listed(packaged)} ;; '
        '*) echo "file is not owned by any package"; exit 1 ;; esac',
    )
    assert description(packaged) == expected(packaged, "web")


def test_a_unit_that_does_not_exist_has_a_description_too(guest: ServiceGuest) -> None:
    guest.unit(LoadState="not-found", Id=UNIT)
    assert description(guest) == []
