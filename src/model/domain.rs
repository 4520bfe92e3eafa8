//! Domains: the values a variable takes.

/// A domain, flattened to scalar components in the order written.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    pub shape: Shape,
    pub components: Vec<Component>,
    /// The values in the order of enumeration, where all components are finite and the domain is
    /// small enough to list (`where` has left out what it leaves out).
    pub finite: Option<FiniteDomain>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Scalar,
    Vector(usize),
    Record(Vec<(String, Shape)>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Where it stands in a record or vector: `x`, `p[2]`; empty for a scalar.
    pub path: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Integer {
        lo: i64,
        hi: i64,
    },
    Names(Vec<String>),
    Bool,
    /// Unbounded sides are infinite.
    Real {
        lo: f64,
        hi: f64,
    },
}

/// The values of a finite domain, each with a number `0..size`.
#[derive(Clone, Debug, PartialEq)]
pub struct FiniteDomain {
    /// Lowest value and number of values of each component.
    axes: Vec<(i64, usize)>,
    /// With a filter: cell of the full box (last component fastest) → number, `u32::MAX` where left
    /// out; and the cells kept.
    kept: Option<(Vec<u32>, Vec<u32>)>,
    size: usize,
}

impl FiniteDomain {
    /// The full box of finite components; `None` where one is real or the box exceeds 2^26 values.
    pub fn of(components: &[Component]) -> Option<FiniteDomain> {
        let mut axes = Vec::with_capacity(components.len());
        let mut size = 1usize;
        for component in components {
            let (lo, count) = match &component.kind {
                Kind::Integer { lo, hi } => {
                    (*lo, usize::try_from(hi.checked_sub(*lo)?.checked_add(1)?).ok()?)
                }
                Kind::Names(names) => (0, names.len()),
                Kind::Bool => (0, 2),
                Kind::Real { .. } => return None,
            };
            axes.push((lo, count));
            size = size.checked_mul(count).filter(|&n| n <= 1 << 26)?;
        }
        Some(FiniteDomain { axes, kept: None, size })
    }

    /// The number of values of the box, however many: as a float. `None` where a component is real.
    pub fn count(components: &[Component]) -> Option<f64> {
        components.iter().try_fold(1.0, |count, component| match &component.kind {
            Kind::Integer { lo, hi } => Some(count * (*hi as f64 - *lo as f64 + 1.0)),
            Kind::Names(names) => Some(count * names.len() as f64),
            Kind::Bool => Some(count * 2.0),
            Kind::Real { .. } => None,
        })
    }

    /// Leaves out values: `keep` is given a column for each component, of as many values as there
    /// are in its second argument, and says there which stay.
    pub fn filtered(mut self, mut keep: impl FnMut(&[Vec<f64>], &mut [bool])) -> FiniteDomain {
        const BLOCK: usize = 4096;
        let mut numbers = vec![u32::MAX; self.size];
        let mut cells = Vec::new();
        let mut value = vec![0.0; self.axes.len()];
        let mut columns = vec![vec![0.0; BLOCK]; self.axes.len()];
        for first in (0..self.size).step_by(BLOCK) {
            let count = BLOCK.min(self.size - first);
            columns.iter_mut().for_each(|column| column.resize(count, 0.0));
            for row in 0..count {
                self.decode(first + row, &mut value);
                columns.iter_mut().zip(&value).for_each(|(column, value)| column[row] = *value);
            }
            let mut stays = [false; BLOCK];
            keep(&columns, &mut stays[..count]);
            for cell in (first..first + count).filter(|cell| stays[cell - first]) {
                numbers[cell] = cells.len() as u32;
                cells.push(cell as u32);
            }
        }
        self.size = cells.len();
        self.kept = Some((numbers, cells));
        self
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Number of components of a value.
    pub fn width(&self) -> usize {
        self.axes.len()
    }

    /// Writes the components of value number `number`.
    pub fn value(&self, number: usize, out: &mut [f64]) {
        let cell = self.kept.as_ref().map_or(number, |(_, cells)| cells[number] as usize);
        self.decode(cell, out);
    }

    /// The number of a value; `None` where it is outside the domain or not whole.
    pub fn number(&self, value: &[f64]) -> Option<usize> {
        let mut cell = 0;
        for (&v, &(lo, count)) in value.iter().zip(&self.axes) {
            let offset = v - lo as f64;
            if !(offset >= 0.0 && offset < count as f64 && offset.fract() == 0.0) {
                return None;
            }
            cell = cell * count + offset as usize;
        }
        match &self.kept {
            None => Some(cell),
            Some((numbers, _)) => {
                Some(numbers[cell]).filter(|&n| n != u32::MAX).map(|n| n as usize)
            }
        }
    }

    fn decode(&self, mut cell: usize, out: &mut [f64]) {
        for (slot, &(lo, count)) in out.iter_mut().zip(&self.axes).rev() {
            *slot = (lo + (cell % count) as i64) as f64;
            cell /= count;
        }
    }
}

impl Domain {
    /// The joint values of several variables, the last fastest: of one variable its own domain, of
    /// more a record with a field of each.
    pub fn joined(parts: &[(&str, &Domain)]) -> Domain {
        if let [(_, only)] = parts {
            return (*only).clone();
        }
        let path = |name: &str, of: &Component| match of.path.as_str() {
            "" => name.to_owned(),
            inner if inner.starts_with('[') => format!("{name}{inner}"),
            inner => format!("{name}.{inner}"),
        };
        let components = parts.iter().flat_map(|(name, domain)| {
            domain
                .components
                .iter()
                .map(|of| Component { path: path(name, of), kind: of.kind.clone() })
        });
        let components: Vec<Component> = components.collect();
        let shapes = parts.iter().map(|(name, domain)| ((*name).to_owned(), domain.shape.clone()));
        Domain { shape: Shape::Record(shapes.collect()), finite: joint_values(parts), components }
    }

    /// Number of scalar components.
    pub fn width(&self) -> usize {
        self.components.len()
    }

    pub fn is_finite(&self) -> bool {
        self.finite.is_some()
    }

    /// A value in the words of the model: `3`, `right`, `{ y: 1, x: 2 }`, `[0.1, 0.2]`.
    pub fn show(&self, value: &[f64]) -> String {
        let mut at = 0;
        self.show_shape(&self.shape, value, &mut at)
    }

    fn show_shape(&self, shape: &Shape, value: &[f64], at: &mut usize) -> String {
        let mut next = || {
            let shown = show_scalar(&self.components[*at].kind, value[*at]);
            *at += 1;
            shown
        };
        match shape {
            Shape::Scalar => next(),
            Shape::Vector(n) => {
                format!("[{}]", (0..*n).map(|_| next()).collect::<Vec<_>>().join(", "))
            }
            Shape::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, shape)| format!("{name}: {}", self.show_shape(shape, value, at)))
                    .collect();
                format!("{{ {} }}", fields.join(", "))
            }
        }
    }
}

fn joint_values(parts: &[(&str, &Domain)]) -> Option<FiniteDomain> {
    let all: Vec<Component> =
        parts.iter().flat_map(|(_, domain)| domain.components.iter().cloned()).collect();
    let values: Vec<&FiniteDomain> =
        parts.iter().map(|(_, domain)| domain.finite.as_ref()).collect::<Option<_>>()?;
    let whole = FiniteDomain::of(&all)?;
    if values.iter().all(|values| values.kept.is_none()) {
        return Some(whole);
    }
    Some(whole.filtered(|columns, stays| {
        let mut value = vec![0.0; columns.len()];
        for (row, stays) in stays.iter_mut().enumerate() {
            value.iter_mut().zip(columns).for_each(|(value, column)| *value = column[row]);
            let mut from = 0;
            *stays = values.iter().all(|values| {
                let own = from..from + values.width();
                from = own.end;
                values.number(&value[own]).is_some()
            });
        }
    }))
}

fn show_scalar(kind: &Kind, value: f64) -> String {
    match kind {
        Kind::Names(names)
            if value >= 0.0 && value.fract() == 0.0 && (value as usize) < names.len() =>
        {
            names[value as usize].clone()
        }
        Kind::Bool if value == 0.0 || value == 1.0 => (value == 1.0).to_string(),
        Kind::Integer { .. } | Kind::Names(_) | Kind::Bool | Kind::Real { .. } => value.to_string(),
    }
}

impl Domain {
    /// A real number.
    pub fn real(lo: f64, hi: f64) -> Domain {
        Domain::scalar(Kind::Real { lo, hi })
    }

    /// A truth value.
    pub fn truth() -> Domain {
        Domain::scalar(Kind::Bool)
    }

    fn scalar(kind: Kind) -> Domain {
        let components = vec![Component { path: String::new(), kind }];
        let finite = FiniteDomain::of(&components);
        Domain { shape: Shape::Scalar, components, finite }
    }

    pub fn is_record(&self) -> bool {
        matches!(self.shape, Shape::Record(_))
    }

    /// How many fields a record has; 0 of another domain.
    pub fn fields(&self) -> usize {
        if let Shape::Record(fields) = &self.shape { fields.len() } else { 0 }
    }

    /// The domain of field number `field` of a record (the domain itself where it is none), without
    /// what `where` leaves out.
    pub fn field(&self, field: usize) -> Domain {
        let Shape::Record(fields) = &self.shape else { return self.clone() };
        let before: usize = fields[..field].iter().map(|(_, shape)| shape.width()).sum();
        let shape = fields[field].1.clone();
        let components = self.components[before..before + shape.width()].to_vec();
        let finite = FiniteDomain::of(&components);
        Domain { shape, components, finite }
    }
}

impl Shape {
    /// Number of scalar components.
    pub fn width(&self) -> usize {
        match self {
            Shape::Scalar => 1,
            Shape::Vector(length) => *length,
            Shape::Record(fields) => fields.iter().map(|(_, shape)| shape.width()).sum(),
        }
    }
}

impl Kind {
    /// Whether it is a value of the component.
    pub fn has(&self, value: f64) -> bool {
        let counted = |lo: f64, hi: f64| value.fract() == 0.0 && lo <= value && value <= hi;
        match self {
            Kind::Real { lo, hi } => *lo <= value && value <= *hi,
            Kind::Integer { lo, hi } => counted(*lo as f64, *hi as f64),
            Kind::Names(names) => counted(0.0, names.len() as f64 - 1.0),
            Kind::Bool => counted(0.0, 1.0),
        }
    }

    /// Columns of the component as the input of a network: one-hot where it is finite, its value
    /// where it is real, and one more (1 where the value is `none`) where the formal is optional.
    pub fn columns(&self, optional: bool) -> usize {
        let of_value = match self {
            Kind::Integer { lo, hi } => (hi - lo + 1) as usize,
            Kind::Names(names) => names.len(),
            Kind::Bool => 2,
            Kind::Real { .. } => 1,
        };
        of_value + usize::from(optional)
    }
}
