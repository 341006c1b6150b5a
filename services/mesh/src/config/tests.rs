//! Layers override each other in order, and every error says where it stands.

use std::io;
use std::time::Duration;

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    common: Common,
    online: Online,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Online {
    #[serde(with = "duration")]
    deadline: Duration,
    slots: u32,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            slots: 4,
        }
    }
}

impl ServiceConfig for Config {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// An environment and one file.
struct Given<'a>(&'a [(&'a str, &'a str)], &'a str);

impl Settings for Given<'_> {
    fn variables(&self) -> BTreeMap<String, String> {
        texts(self.0)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("a.toml") {
            Ok(self.1.to_owned())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn loaded(given: &Given<'_>, flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(given, &texts(flags), Some(Path::new("a.toml")))
}

#[test]
fn without_settings_the_defaults_hold() {
    let given = Given(&[("LEPTON_ADDRESS", "x"), ("PATH", "y")], "");
    assert_eq!(loaded(&given, &[]).unwrap(), Config::default());
    assert_eq!(
        load::<Config>(&given, &BTreeMap::new(), None).unwrap(),
        Config::default()
    );
}

#[test]
fn flags_beat_variables_and_these_beat_the_file() {
    let file = "[common]\ncluster = 'file'\nlisten = 'file:1'\n[online]\nslots = 1\ndeadline = '1ms'\n";
    let variables = [("LEPTON_COMMON__LISTEN", "variable:1"), ("LEPTON_ONLINE__SLOTS", "2")];
    let flags = [("online.slots", "3"), ("common.etcd", "http://a:1, http://b:2")];
    let config = loaded(&Given(&variables, file), &flags).unwrap();
    assert_eq!(
        (config.common.cluster.as_str(), config.common.listen.as_str()),
        ("file", "variable:1")
    );
    assert_eq!(
        (config.online.slots, config.online.deadline),
        (3, Duration::from_millis(1))
    );
    assert_eq!(config.common.etcd, ["http://a:1", "http://b:2"]);
    // A name that looks like a number stays a name.
    let config = loaded(&Given(&[("LEPTON_COMMON__CLUSTER", "007")], ""), &[]).unwrap();
    assert_eq!(config.common.cluster, "007");
}

#[test]
fn nested_sections_are_reached_by_variables() {
    let config = loaded(&Given(&[("LEPTON_COMMON__TRACE__RATIO", "0.5")], ""), &[]).unwrap();
    assert_eq!(config.common.trace.ratio, 0.5);
}

#[test]
fn a_variable_is_known_by_its_key_alone() {
    for known in [
        "LEPTON_ONLINE__SLOTS",
        "LEPTON_COMMON__TRACE__RATIO",
        "LEPTON_COMMON__ADVERTISE",
    ] {
        assert!(is_setting(known) && knows::<Config>(known, "many"), "{known}");
    }
    for unknown in [
        "LEPTON_ONLINE__SLOT",
        "LEPTON_OFFLINE__SLOTS",
        "LEPTON_COMMON__TRACE__RATE",
    ] {
        assert!(is_setting(unknown) && !knows::<Config>(unknown, "1"), "{unknown}");
    }
    assert!(["LEPTON_ADDRESS", "PATH", "A__B"].iter().all(|name| !is_setting(name)));
}

#[test]
fn addresses_of_etcd_are_written_out() {
    let config = loaded(&Given(&[], ""), &[("common.etcd", "a,http://b/")]).unwrap();
    assert_eq!(config.common.etcd, ["http://a:2379", "http://b:2379"]);
}

#[test]
fn errors_say_where_they_stand() {
    let cases = [
        (Given(&[], "[common]\n\netcdd = 1\n"), "a.toml:3:1: ", "etcdd"),
        (
            Given(&[], "[online]\ndeadline = 'soon'\n"),
            "a.toml:2:12: ",
            "\"soon\" is not a duration",
        ),
        (Given(&[], "[online\n"), "a.toml:1:", ""),
        (
            Given(&[("LEPTON_ONLINE__SLOT", "1")], ""),
            "LEPTON_ONLINE__SLOT: ",
            "unknown field",
        ),
        (
            Given(&[("LEPTON_ONLINE__SLOTS", "many")], ""),
            "LEPTON_ONLINE__SLOTS: ",
            "many",
        ),
    ];
    for (given, place, what) in cases {
        let error = loaded(&given, &[]).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(what), "{error}");
    }
    let error = loaded(&Given(&[], ""), &[("online.slots", "-1")])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("--slots: "), "{error}");
    let error = load::<Config>(&Given(&[], ""), &BTreeMap::new(), Some(Path::new("b.toml"))).unwrap_err();
    assert!(error.to_string().starts_with("b.toml: cannot be read"), "{error}");
}

#[test]
fn what_could_only_fail_later_is_refused() {
    let cases = [
        ("common.etcd", "", "etcd: no etcd member"),
        ("common.etcd", "https://a:1", "etcd: \"https://a:1\""),
        ("common.cluster", "", "cluster: "),
        ("common.cluster", "a/b", "cluster: "),
    ];
    for (key, value, what) in cases {
        let error = loaded(&Given(&[], ""), &[(key, value)]).unwrap_err().to_string();
        assert!(error.starts_with(what), "{key} {value:?}: {error}");
    }
}

#[test]
fn a_written_configuration_reads_back() {
    let written = toml::to_string(&Config::default()).unwrap();
    assert_eq!(toml::from_str::<Config>(&written).unwrap(), Config::default());
    for text in ["250us", "500ms", "10s", "5m", "1h", "0s"] {
        assert_eq!(duration::format(duration::parse(text).unwrap()), text);
    }
    for text in ["", "10", "s", "1d", "-1s", "1.5s", "99999999999999999999s"] {
        assert_eq!(duration::parse(text), None, "{text}");
    }
}

#[test]
fn no_error_shows_the_password_of_an_url() {
    let etcd = "http://root:s3cret@etcd:2379";
    let (in_file, wrong_type) = (
        format!("[common]\netcd = [\"{etcd}\"]\n"),
        format!("[online]\nslots = \"{etcd}\"\n"),
    );
    let file = |text| loaded(&Given(&[], text), &[]);
    for result in [
        loaded(&Given(&[], ""), &[("common.etcd", etcd)]),
        loaded(&Given(&[("LEPTON_COMMON__ETCD", etcd)], ""), &[]),
        loaded(&Given(&[("LEPTON_ONLINE__SLOTS", etcd)], ""), &[]),
        file(&in_file),
        file(&wrong_type),
    ] {
        let error = result.expect_err("a user is not taken").to_string();
        assert!(!error.contains("s3cret") && error.contains("***@etcd:2379"), "{error}");
    }
}
