//! What a request that does not say how to sample means, by model family: the contract's table.

use qwenda_engine::ModelInfo;

/// Sampling values for a field that is absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Defaults {
    pub(super) temperature: f32,
    pub(super) top_p: f32,
    pub(super) top_k: u32,
    pub(super) presence_penalty: f32,
    pub(super) repetition_penalty: f32,
}

/// One row of the table.
#[derive(Debug, PartialEq)]
pub(super) struct Family {
    name: &'static str,
    applies: Applies,
    /// Without a thinking phase, or with it turned off.
    answering: Defaults,
    /// With one.
    thinking: Defaults,
}

/// Which models a row is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Applies {
    /// The name in the file has this word in it.
    Named(&'static str),
    /// The architecture, and fewer parameters than this many thousand millions.
    Below(&'static str, u64),
    All,
}

/// Models with fewer parameters than this count as small.
const SMALL_BILLIONS: u64 = 5;

const fn row(temperature: f32, top_p: f32, top_k: u32, presence_penalty: f32, repetition_penalty: f32) -> Defaults {
    Defaults { temperature, top_p, top_k, presence_penalty, repetition_penalty }
}

/// The first row that applies.
static FAMILIES: [Family; 8] = [
    Family {
        name: "coder",
        applies: Applies::Named("coder"),
        answering: row(0.7, 0.8, 20, 0.0, 1.1),
        thinking: row(0.6, 0.95, 20, 0.0, 1.1),
    },
    Family {
        name: "math",
        applies: Applies::Named("math"),
        answering: row(0.0, 1.0, 1, 0.0, 1.0),
        thinking: row(0.0, 1.0, 1, 0.0, 1.0),
    },
    Family {
        name: "qwq",
        applies: Applies::Named("qwq"),
        answering: row(0.6, 0.95, 40, 0.0, 1.0),
        thinking: row(0.6, 0.95, 40, 0.0, 1.0),
    },
    Family {
        name: "qwen3 small",
        applies: Applies::Below("qwen3", SMALL_BILLIONS),
        answering: row(0.7, 0.8, 20, 1.5, 1.1),
        thinking: row(0.6, 0.95, 20, 1.5, 1.1),
    },
    Family {
        name: "qwen3",
        applies: Applies::Below("qwen3", u64::MAX),
        answering: row(0.7, 0.8, 20, 1.5, 1.05),
        thinking: row(0.6, 0.95, 20, 0.5, 1.05),
    },
    Family {
        name: "qwen2 small",
        applies: Applies::Below("qwen2", SMALL_BILLIONS),
        answering: row(0.7, 0.8, 20, 0.0, 1.1),
        thinking: row(0.6, 0.95, 20, 0.0, 1.1),
    },
    Family {
        name: "qwen2",
        applies: Applies::Below("qwen2", u64::MAX),
        answering: row(0.7, 0.8, 20, 0.0, 1.05),
        thinking: row(0.6, 0.95, 20, 0.0, 1.05),
    },
    Family {
        name: "others",
        applies: Applies::All,
        answering: row(0.7, 0.8, 20, 0.0, 1.05),
        thinking: row(0.6, 0.95, 20, 0.0, 1.05),
    },
];

impl Family {
    /// The row for the model in a file.
    pub(super) fn of(info: &ModelInfo) -> &'static Self {
        Self::find(&info.name, &info.architecture, info.parameters)
    }

    fn find(name: &str, architecture: &str, parameters: u64) -> &'static Self {
        let name = name.to_lowercase();
        let billions = parameters / 1_000_000_000;
        let applies = |family: &&Self| match family.applies {
            Applies::Named(word) => name.contains(word),
            Applies::Below(of, below) => architecture == of && billions < below,
            Applies::All => true,
        };
        FAMILIES.iter().find(applies).expect("the last row is for all")
    }

    /// The values for a request, `thinking` being whether the model is to reason first.
    pub(super) fn defaults(&self, thinking: bool) -> Defaults {
        if thinking { self.thinking } else { self.answering }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_the_row_of_its_family() {
        for (name, architecture, millions, row) in [
            ("qwen2.5-coder-0.5b-instruct", "qwen2", 630, "coder"),
            ("Qwen2.5 Coder 1.5B Instruct GGUF", "qwen2", 1_780, "coder"),
            ("Qwen3 Coder 30B", "qwen3", 30_000, "coder"),
            ("Qwen2.5 Math 7B", "qwen2", 7_600, "math"),
            ("QwQ 32B", "qwen2", 32_000, "qwq"),
            ("Qwen3 4B", "qwen3", 4_022, "qwen3 small"),
            ("Qwen3 8B", "qwen3", 8_190, "qwen3"),
            ("Qwen2.5 3B Instruct", "qwen2", 3_400, "qwen2 small"),
            ("Qwen2.5 7B Instruct", "qwen2", 7_600, "qwen2"),
            ("another", "qwen9", 1, "others"),
        ] {
            assert_eq!(Family::find(name, architecture, millions * 1_000_000).name, row, "{name}");
        }
    }

    #[test]
    fn a_coder_samples_as_the_contract_says() {
        let coder = Family::find("qwen2.5-coder", "qwen2", 0).defaults(false);
        assert_eq!(coder, row(0.7, 0.8, 20, 0.0, 1.1));
    }
}
