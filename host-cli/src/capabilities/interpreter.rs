//! The language that the tracked script is written in, and what it can import.
//!
//! No interpreter is run or called into: the facts and the search path are handed over when a run begins, and packages are
//! told from the names of the folders that installers leave beside them
//! ([PyPA: recording installed projects](https://packaging.python.org/en/latest/specifications/recording-installed-packages/)).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::origin::{Kind, Origin, Origins};

/// The interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Such as `CPython`.
    pub implementation: String,
    /// Such as `3.11.7`.
    pub version: String,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// As its installer spells it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from, if that is no index.
    pub origin: Option<Origin>,
}

/// What runs the script, if one runs.
#[derive(Clone, Debug, Default)]
pub struct Interpreter {
    facts: Option<Facts>,
    path: Vec<PathBuf>,
}

impl Interpreter {
    /// No script runs.
    pub fn none() -> Self {
        Self::default()
    }

    /// An interpreter and its `sys.path`.
    pub fn new(facts: Facts, path: Vec<PathBuf>) -> Self {
        Self { facts: Some(facts), path }
    }

    /// None where no script runs.
    pub fn describe(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// The packages that the script can import, by [`normalised`] name: the names of folders are spelled in many ways. Of several of a name, the first on the path
    /// counts, as it does when it is imported. What can't be read is left out. `project` is the root of the project that the script belongs
    /// to.
    pub fn packages(&self, project: &Path) -> Vec<Package> {
        let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        let (mut packages, mut origins) = (BTreeMap::new(), Origins::new(&project));
        for folder in &self.path {
            // Archives, and folders that are not there, are at home on a search path.
            let Ok(entries) = fs::read_dir(folder) else { continue };
            let entries = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let mut found: Vec<_> = entries.filter_map(|entry| Some((package(folder, &entry)?, entry))).collect();
            // Folders come in no order: of two versions side by side the pick must be the same each time.
            found.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
            for (package, entry) in found {
                packages.entry(normalised(&package.name)).or_insert_with(|| {
                    let origin = origin(folder, &entry, &mut origins);
                    Package { origin, ..package }
                });
            }
        }
        packages.into_iter().map(|(name, package)| Package { name, ..package }).collect()
    }
}

/// The form that names are compared in ([PEP 503](https://peps.python.org/pep-0503/#normalized-names)).
pub fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

fn origin(folder: &Path, entry: &str, origins: &mut Origins<'_>) -> Option<Origin> {
    let metadata = folder.join(entry);
    if entry.ends_with(".dist-info") {
        return origins.of(&metadata);
    }
    // `setup.py develop` puts the folder of the code itself on the path, with its metadata in it.
    let installed = folder.ends_with("site-packages") || folder.ends_with("dist-packages");
    (!installed && metadata.is_dir()).then(|| origins.of_folder(folder, Kind::Editable))
}

fn package(folder: &Path, entry: &str) -> Option<Package> {
    let (stem, metadata) = match entry.strip_suffix(".dist-info") {
        Some(stem) => (stem, "METADATA"),
        None => (entry.strip_suffix(".egg-info")?, "PKG-INFO"),
    };
    // pip leaves `~umpy-1.0.dist-info` behind when an uninstallation is cut short.
    if !stem.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    named(stem).or_else(|| described(&folder.join(entry), metadata))
}

/// `name-version`, or in an `.egg-info` perhaps `name-version-py3.11`; versions begin with a digit.
fn named(stem: &str) -> Option<Package> {
    let stem = stem.find("-py").map_or(stem, |python| match stem.as_bytes().get(python + 3) {
        Some(b'2' | b'3') => &stem[..python],
        _ => stem,
    });
    let (name, version) = stem.rsplit_once('-')?;
    let versioned = version.starts_with(|first: char| first.is_ascii_digit());
    let package = || Package { name: name.to_owned(), version: version.to_owned(), origin: None };
    (versioned && !name.is_empty()).then(package)
}

/// What the metadata says, in a folder or (an old `.egg-info`) in the file itself.
fn described(entry: &Path, metadata: &str) -> Option<Package> {
    let path = if entry.is_dir() { entry.join(metadata) } else { entry.to_owned() };
    let mut head = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let field = |key: &str| {
        let mut fields = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim().to_owned())
    };
    Some(Package { name: field("Name")?, version: field("Version")?, origin: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn interpreter(path: &[&Path]) -> Interpreter {
        let facts = Facts { implementation: "CPython".to_owned(), version: "3.11.7".to_owned() };
        Interpreter::new(facts, path.iter().map(|path| path.to_path_buf()).collect())
    }

    fn listed(interpreter: &Interpreter) -> Vec<String> {
        interpreter
            .packages(Path::new("/nowhere"))
            .into_iter()
            .map(|package| format!("{}=={}", package.name, package.version))
            .collect()
    }

    #[test]
    fn names_tell_it_all() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "numpy-2.1.0.dist-info",
            "torch-2.1.0+cu118.dist-info",
            "typing_extensions-4.12.dist-info",
            "Old_Style-1.0-py3.11.egg-info",
            "my-dashed-name-0.1.dist-info",
            "pkg-py-1.2.dist-info",
            "~umpy-2.0.dist-info",
            "numpy",
            "numpy.libs",
        ] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(
            listed(&interpreter(&[folder.path()])),
            [
                "my-dashed-name==0.1",
                "numpy==2.1.0",
                "old-style==1.0",
                "pkg-py==1.2",
                "torch==2.1.0+cu118",
                "typing-extensions==4.12"
            ]
        );
    }

    #[test]
    fn the_first_on_the_path_counts() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(first.path().join("Foo.Bar-2.0.dist-info")).unwrap();
        fs::create_dir(second.path().join("foo_bar-3.0.dist-info")).unwrap();
        fs::create_dir(second.path().join("baz-1.dist-info")).unwrap();
        let missing = Path::new("/nonexistent.zip");
        assert_eq!(listed(&interpreter(&[missing, first.path(), second.path()])), ["baz==1", "foo-bar==2.0"]);
    }

    #[test]
    fn metadata_is_read_where_the_name_lacks_a_version() {
        let folder = tempfile::tempdir().unwrap();
        let develop = folder.path().join("develop.egg-info");
        fs::create_dir(&develop).unwrap();
        fs::write(develop.join("PKG-INFO"), "Metadata-Version: 2.1\nName: develop\nVersion: 0.3.dev1\n\nName: no\n")
            .unwrap();
        fs::write(folder.path().join("single.egg-info"), "Name: single\r\nVersion: 7\r\n").unwrap();
        fs::create_dir(folder.path().join("empty.dist-info")).unwrap();
        assert_eq!(listed(&interpreter(&[folder.path()])), ["develop==0.3.dev1", "single==7"]);
    }

    #[test]
    fn names_are_normalised() {
        for (name, normal) in [("Foo.Bar", "foo-bar"), ("a__b-._c", "a-b-c"), ("zope.interface", "zope-interface")] {
            assert_eq!(normalised(name), normal);
        }
    }

    #[test]
    fn a_hundred_and_thirty_packages_take_no_time() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..130 {
            fs::create_dir(folder.path().join(format!("package_{number}-1.{number}.dist-info"))).unwrap();
            fs::create_dir(folder.path().join(format!("package_{number}"))).unwrap();
        }
        let interpreter = interpreter(&[folder.path()]);
        let best = (0..10).map(|_| {
            let start = std::time::Instant::now();
            assert_eq!(interpreter.packages(Path::new("/nowhere")).len(), 130);
            start.elapsed()
        });
        // About 1 ms, unoptimised; the rest is for a busy machine.
        assert!(best.min().unwrap().as_millis() < 10);
    }

    #[test]
    fn without_a_script_there_is_nothing() {
        assert!(Interpreter::none().describe().is_none());
        assert!(Interpreter::none().packages(Path::new("/nowhere")).is_empty());
    }
}
