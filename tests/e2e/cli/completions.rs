//! `lepton completions`: scripts that shells accept, and what bash makes of one.

use std::process::Command;

use lepton_tests::mesh::directory;
use lepton_tests::process::binary;

use super::{run, words};

/// Nobody listens there: completions need no mesh.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The words that bash offers for the last word of a line.
async fn offered(script: &std::path::Path, line: &str) -> Vec<String> {
    let typed: Vec<&str> = line.split(' ').collect();
    let last = typed.len() - 1;
    let program = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={last}; COMPREPLY=(); \
         _lepton lepton '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        typed
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        typed[last],
        typed[last - 1],
    );
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", &program]);
    let offered = run(command).await.body();
    offered.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_flags_and_values() {
    let folder = directory();
    let script = folder.path().join("lepton.bash");
    let text = words(NOWHERE, "completions bash").await.body();
    std::fs::write(&script, text).expect("a file");
    let mut check = Command::new("bash");
    check.arg("-n").arg(&script);
    run(check).await.body();
    for (line, expected) in [
        ("lepton an", "analyze"),
        ("lepton task su", "submit"),
        ("lepton journal ", "verify"),
        ("lepton analyze --ta", "--target"),
        ("lepton --output j", "json"),
        ("lepton train rows.csv --method g", "gradient-descent"),
        ("lepton completions f", "fish"),
    ] {
        let offered = offered(&script, line).await;
        assert!(offered.iter().any(|word| word == expected), "{line}: {offered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_and_fish_get_scripts_of_their_own() {
    let zsh = words(NOWHERE, "completions zsh").await.body();
    assert!(zsh.starts_with("#compdef lepton") && zsh.contains("--target"), "{zsh}");
    let fish = words(NOWHERE, "completions fish").await.body();
    assert!(
        fish.contains("complete -c lepton") && fish.contains("-l target"),
        "{fish}"
    );
    words(NOWHERE, "completions").await.refused(2, "CONFIG_INVALID");
    words(NOWHERE, "completions tcsh").await.refused(2, "CONFIG_INVALID");
    // Who stops reading has what they wanted.
    let mut piped = Command::new("sh");
    piped.args([
        "-c",
        &format!("{} completions zsh | head -n 1", binary("lepton").display()),
    ]);
    assert_eq!(run(piped).await.body(), "#compdef lepton");
}
