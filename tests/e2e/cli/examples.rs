//! The examples in the help of every command, run as they stand.

use std::process::Command;

use lepton_tests::mesh::{Up, directory};
use lepton_tests::process::binary;

use super::{CommandOutput, run, words};
use crate::shared_mesh::shared;

/// Help of a command, and of those below it.
async fn helps(path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let line = format!("{path} --help");
        let help = words("http://127.0.0.1:1", line.trim_start()).await.body();
        let commands = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let names = commands.lines().take_while(|line| line.starts_with("  "));
        let names = names
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help");
        left.extend(names.map(|name| format!("{path} {name}").trim_start().to_owned()));
        found.push((path, help));
    }
    found
}

/// Runs an example in a shell, in `folder`, with `lepton` in its path.
async fn run_example(up: &Up, folder: &std::path::Path, example: &str) -> CommandOutput {
    let program = binary("lepton");
    let bin = program.parent().expect("it lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-c", example]).current_dir(folder).env("HOME", folder);
    shell.env("PATH", format!("{}:{path}", bin.display()));
    shell.env("LEPTON_ADDRESS", &up.gateway);
    run(shell).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_a_command_that_runs() {
    let up = shared().await;
    let folder = directory();
    let rows = "x,y,label\n1,2,3\n2,1,5\n3,5,6.5\n4,4,8\n5,1,11\n6,2,12\n7,7,13\n";
    let file = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).expect("a file");
    file("rows.csv", rows);
    file(
        "rows.json",
        r#"[{"x":1,"label":2},{"x":2,"label":4.5},{"x":3,"label":6}]"#,
    );
    file("request.json", r#"{"data":[{"x":1}]}"#);
    file("tensors.json", r#"{"inputs":[]}"#);
    file("model.onnx", "no model");
    run_example(&up, folder.path(), "gzip --keep rows.csv").await.body();
    for directory in [
        ".zfunc",
        ".config/fish/completions",
        ".local/share/bash-completion/completions",
    ] {
        std::fs::create_dir_all(folder.path().join(directory)).expect("a folder");
    }
    let mut count = 0;
    for (path, help) in helps("").await {
        let (_, examples) = help
            .split_once("\nExamples:\n")
            .unwrap_or_else(|| panic!("{path}: no examples: {help}"));
        for example in examples.lines() {
            // A mesh of its own is for the tests of `up`; other addresses than the mesh's have nobody there.
            if path == "up" || example.contains("lepton up") || example.contains("10.0.0.5") {
                continue;
            }
            // Whether there is such a task or model differs; that it is a right use of the command does not.
            let ended = run_example(&up, folder.path(), example).await;
            assert!(matches!(ended.code, Some(0 | 1 | 3)), "{example}: {ended:#?}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
