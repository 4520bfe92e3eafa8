//! What a run has trained.

use super::Failure;
use crate::engine::Parameters;
use crate::model::Model;
use crate::report::{Folder, PARAMETERS};

/// The trained parameters of a run, for a model with the same networks.
pub fn parameters(folder: &Folder, model: &Model) -> Result<Parameters<f64>, Failure> {
    if !folder.file(PARAMETERS).exists() {
        let shown = folder.path().display();
        let text = format!(
            "the run in `{shown}` has no parameters yet: its first checkpoint is still to come, \
             or was prevented; \
                            `rlppl infer --resume {shown}` goes on with a run that has ended"
        );
        return Err(Failure::Wrong(text));
    }
    let bytes = folder.read(PARAMETERS).map_err(|error| Failure::Wrong(error.to_string()))?;
    let mut parameters = Parameters::initial(model, 0);
    let loaded = parameters.load_safetensors(&bytes);
    loaded.map_err(|error| {
        Failure::Wrong(format!("`{}`: {error}", folder.file(PARAMETERS).display()))
    })?;
    Ok(parameters)
}
