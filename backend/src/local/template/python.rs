//! Where Python prints or tests a value otherwise than minijinja does.

use minijinja::{
    Error, ErrorKind, Output, State, Value,
    value::{Tuple, ValueKind},
};

use super::{DEPTH_MAX, bounded::Charged};

/// What a template prints: `str(value)`.
pub(super) fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match text(state, value)? {
        Some(text) => Ok(out.write_str(&text)?),
        None => minijinja::escape_formatter(out, state, value),
    }
}

/// The filter `string`.
pub(super) fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    Ok(match text(state, value)? {
        Some(text) => Value::from(text),
        None if value.as_str().is_some() => value.clone(),
        None => Value::from(value.to_string()),
    })
}

/// `str(value)` where minijinja does otherwise, or does without end.
fn text(state: &State<'_, '_>, value: &Value) -> Result<Option<String>, Error> {
    if let Some(number) = as_float(value) {
        return Ok(Some(float(number)));
    }
    if !is_container(value) {
        return Ok(None);
    }
    let mut out = Charged::new(state);
    repr(&mut out, value, 0)?;
    Ok(Some(out.text))
}

fn is_container(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => true,
        // What has no length may have no end.
        ValueKind::Iterable => value.len().is_some(),
        _ => false,
    }
}

/// `repr(value)`.
fn repr(out: &mut Charged<'_>, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        let message = format!("values nested deeper than {DEPTH_MAX} cannot be printed");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    out.charge()?;
    if let Some(number) = as_float(value) {
        out.text.push_str(&float(number));
        return Ok(());
    }
    if !is_container(value) {
        out.text.push_str(&format!("{value:?}"));
        return Ok(());
    }
    let is_map = value.kind() == ValueKind::Map;
    let is_tuple = value.downcast_object_ref::<Tuple>().is_some();
    out.text.push(if is_map {
        '{'
    } else if is_tuple {
        '('
    } else {
        '['
    });
    let mut len = 0;
    for item in value.try_iter()? {
        if len > 0 {
            out.text.push_str(", ");
        }
        repr(out, &item, depth + 1)?;
        if is_map {
            out.text.push_str(": ");
            repr(out, &value.get_item(&item)?, depth + 1)?;
        }
        len += 1;
    }
    if is_tuple && len == 1 {
        out.text.push(',');
    }
    out.text.push(if is_map {
        '}'
    } else if is_tuple {
        ')'
    } else {
        ']'
    });
    Ok(())
}

/// The test `sequence`: whatever has a length and items, which in Python texts and mappings have.
pub(super) fn is_sequence(value: &Value) -> bool {
    value.is_undefined()
        || matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Bytes)
}

/// The test `iterable`, which in Python none is not.
pub(super) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// `value` if it is a floating-point number; integers are none.
pub(super) fn as_float(value: &Value) -> Option<f64> {
    if value.kind() == ValueKind::Number && !value.is_integer() { f64::try_from(value.clone()).ok() } else { None }
}

/// `repr(number)`: the shortest digits that read back as `number`, with an exponent outside
/// 1e-4 ≤ number < 1e16.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        return match number {
            n if n.is_nan() => "nan".to_owned(),
            n if n > 0.0 => "inf".to_owned(),
            _ => "-inf".to_owned(),
        };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let fixed = format!("{number}");
        return if fixed.contains('.') { fixed } else { fixed + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_print_as_python_prints_them() {
        for (number, want) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.2345e22, "1.2345e+22"),
            (-1.5e300, "-1.5e+300"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float(number), want);
        }
    }
}
