//! How environments from outside are made, by their names.

use super::environment::{Environment, Failure};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Makes an environment of what the file says in `rust("name", key = value)`.
pub(super) type Maker =
    Arc<dyn Fn(&Arguments) -> Result<Box<dyn Environment>, Failure> + Send + Sync>;

/// The environments that a program brings, by the names that a model file calls them by:
/// `environment pole = rust("pole") { … }`.
#[derive(Clone, Default)]
pub struct Environments {
    makers: BTreeMap<String, Maker>,
}

impl Environments {
    /// None.
    pub fn new() -> Environments {
        Environments::default()
    }

    /// With one that `make` makes, once for each shard of a batch; a file gives it no arguments.
    pub fn with<E: Environment + 'static>(
        self,
        name: impl Into<String>,
        make: impl Fn() -> E + Send + Sync + 'static,
    ) -> Environments {
        self.with_arguments(name, &[], move |_| Ok(make()))
    }

    /// With one that `make` makes of the arguments that the file gives it; `known` are all that it
    /// takes, and a file may leave any of them out.
    pub fn with_arguments<E: Environment + 'static>(
        mut self,
        name: impl Into<String>,
        known: &'static [&'static str],
        make: impl Fn(&Arguments) -> Result<E, Failure> + Send + Sync + 'static,
    ) -> Environments {
        let maker: Maker = Arc::new(move |arguments| {
            if let Some(other) = arguments.names().find(|name| !known.contains(name)) {
                return Err(match known.is_empty() {
                    true => format!("it takes no arguments, and is given `{other}`").into(),
                    false => {
                        let known = known.join("`, `");
                        format!("it is given `{other}`, and takes `{known}`").into()
                    }
                });
            }
            Ok(Box::new(make(arguments)?))
        });
        self.makers.insert(name.into(), maker);
        self
    }

    /// The names that are known, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.makers.keys().map(String::as_str)
    }

    pub(super) fn maker(&self, name: &str) -> Option<&Maker> {
        self.makers.get(name)
    }
}

impl fmt::Debug for Environments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What a file says behind the name of an environment, `rust("pole", length = 0.5)`: numbers, and
/// truth values as 0 and 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    pub(super) values: BTreeMap<String, f64>,
}

impl Arguments {
    /// One of them, where the file gives it.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// Their names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}
