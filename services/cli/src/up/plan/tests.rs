//! Who hears of which variable.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn plan(arguments: &str, variables: &[(&str, &str)]) -> Result<LaunchPlan, ApiError> {
    let words = std::iter::once("up").chain(arguments.split_whitespace());
    let options = Line::parse_from(words).options;
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    LaunchPlan::new(options, variables.iter().map(owned).collect())
}

fn shared(plan: &LaunchPlan) -> Flags {
    plan.shared(Path::new("/data"), &["http://127.0.0.1:1".to_owned()])
}

#[test]
fn a_variable_reaches_those_who_have_its_setting() {
    let plan = plan(
        "",
        &[
            ("LEPTON_EDGE__BODY_BYTES_MAX", "1024"),
            ("LEPTON_TASKS__COMPUTE", "3"),
            ("LEPTON_JOURNAL__STALL_AFTER", "7s"),
            ("LEPTON_TRACES__SPANS_MAX", "5"),
            ("LEPTON_COMMON__CLUSTER", "other"),
            ("LEPTON_ADDRESS", "x"),
        ],
    );
    let plan = plan.expect("every one is known");
    let flags = shared(&plan);
    let gateway = plan.gateway(&flags).expect("a gateway");
    assert_eq!(
        (gateway.edge.body_bytes_max, gateway.common.cluster.as_str()),
        (1024, "other")
    );
    let scheduler = plan.scheduler(&flags).expect("a scheduler");
    assert_eq!(scheduler.journal.stall_after.as_secs(), 7);
    plan.monitor(&flags).expect("a monitor");
    let worker = plan.worker(&flags, 2).expect("a worker");
    let names: Vec<&str> = worker.variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["LEPTON_COMMON__CLUSTER", "LEPTON_TASKS__COMPUTE"]);
    assert!(
        worker
            .arguments
            .join(" ")
            .contains("--cluster other --data-dir /data/worker-2")
    );
}

#[test]
fn options_go_before_variables_and_these_before_the_defaults_of_up() {
    let variables = [
        ("LEPTON_COMMON__LISTEN", "127.0.0.1:7"),
        ("LEPTON_OTLP__LISTEN", "127.0.0.1:7"),
        ("LEPTON_COMMON__OTLP_ENDPOINT", "http://variable:1"),
        ("LEPTON_MODELS__DIRECTORY_FIRST", "false"),
        ("LEPTON_COMMON__LOG__FILTER", "warn"),
    ];
    let line = "--listen 127.0.0.1:8 --otlp-listen 127.0.0.1:9 --otlp-endpoint http://flag:1";
    let plan = plan(line, &variables).expect("every one is known");
    let flags = shared(&plan);
    let gateway = plan.gateway(&flags).expect("a gateway");
    assert_eq!(gateway.common.listen, "127.0.0.1:8");
    assert!(!gateway.models.directory_first);
    let monitor = plan.monitor(&flags).expect("a monitor");
    assert_eq!(monitor.otlp.listen, "127.0.0.1:9");
    let worker = plan.worker(&flags, 1).expect("a worker");
    assert!(worker.arguments.join(" ").contains("--otlp-endpoint http://flag:1"));
    assert!(!worker.variables.contains_key("LEPTON_COMMON__LISTEN"));
    let telemetry = plan.telemetry().expect("settings");
    assert_eq!(telemetry.log.filter, "warn");
    assert_eq!(telemetry.otlp_endpoint.as_deref(), Some("http://flag:1"));
}

#[test]
fn what_would_change_nothing_or_break_is_refused_by_name() {
    for name in ["LEPTON_EDGE__BODY_BYTES", "LEPTON_NOBODY__X", "LEPTON_COMMON__INSTANCE"] {
        let error = plan("", &[(name, "1")]).expect_err("refused");
        assert!(
            error.reason == Reason::ConfigInvalid && error.message.starts_with(name),
            "{error:?}"
        );
    }
    let wrong = plan("", &[("LEPTON_TASKS__COMPUTE", "many")]).expect("the name is right");
    let error = wrong.worker(&shared(&wrong), 1).expect_err("the value is not");
    assert!(error.message.starts_with("LEPTON_TASKS__COMPUTE: "), "{error:?}");
}
