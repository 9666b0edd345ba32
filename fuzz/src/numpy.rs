//! Arrays, scalars and dtypes of numpy.

use depickle::python::numpy::{Element, Field, FromElement, Numpy, NumpyArray, Views};

use crate::{graph_of, small};

/// What views as numpy's is as large as it says, and going through it ends.
pub fn numpy(bytes: &[u8]) {
    let outcome = graph_of(bytes);
    let mut views = Views::new(small());
    // Many arrays may have the same data, so all together are stopped somewhere.
    let mut left = 1 << 22;
    for object in outcome.graph.objects() {
        // Whatever is asked for, of whatever it is.
        let _ = (views.dtype(object), views.array(object), views.scalar(object));
        match views.any(object) {
            Some(Ok(Numpy::Array(array))) => whole(&array, &mut left),
            Some(Ok(Numpy::Masked(masked))) => {
                assert_eq!(masked.data().shape(), masked.mask().shape());
                whole(masked.data(), &mut left);
                whole(masked.mask(), &mut left);
            }
            Some(Ok(Numpy::Scalar(scalar))) => {
                if let Some(bytes) = scalar.bytes() {
                    assert_eq!(bytes.len() as u64, scalar.dtype().itemsize());
                }
                parts(scalar.value(), &mut left);
            }
            Some(Ok(Numpy::DType(dtype))) => {
                let ends =
                    |field: &Field| field.offset() + field.dtype().itemsize() <= dtype.itemsize();
                assert!(dtype.fields().iter().all(ends));
                assert!(!dtype.to_string().is_empty());
            }
            Some(Err(why)) => assert!(!why.to_string().is_empty()),
            _ => {}
        }
    }
}

fn whole(array: &NumpyArray, left: &mut u64) {
    let product = array.shape().iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
    let product = if array.shape().contains(&0) { 0 } else { product.expect("no overflow") };
    assert_eq!(product, array.len() as u64);
    let bytes = array.bytes().map(|bytes| bytes.len() as u64);
    if product <= 4096 {
        // Converting all is converting one by one.
        let each: Option<Vec<u64>> =
            array.iter().map(|element| f64::from_element(element).map(f64::to_bits)).collect();
        if let Ok(all) = array.to_vec::<f64>() {
            assert_eq!(Some(all.into_iter().map(f64::to_bits).collect()), each);
        }
        if let Some(slice) = array.as_slice::<i64>() {
            assert_eq!(Ok(slice), array.to_vec::<i64>().as_deref().map_err(|_| ()));
        }
    }
    if let Some(bytes) = bytes {
        assert_eq!(bytes, product * array.dtype().itemsize());
    }
    if bytes.unwrap_or(product).max(product) > *left {
        return;
    }
    *left -= bytes.unwrap_or(product).max(product);
    assert_eq!(array.row_major_bytes().map(|rows| rows.len() as u64), bytes);
    if let Ok(turned) = array.little_endian_bytes() {
        assert_eq!(Some(turned.len() as u64), bytes);
    }
    array.iter().for_each(|element| parts(element, left));
}

/// Goes through what is inside an element, while something is left to do.
fn parts(element: Element, left: &mut u64) {
    let mut todo = vec![element];
    while let Some(element) = todo.pop() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        match element {
            Element::Record(record) => todo.extend(record.fields().map(|(_, value)| value)),
            Element::SubArray(array) => {
                let most = usize::try_from(*left).expect("few");
                todo.extend(array.iter().take(most));
            }
            Element::Text(text) => assert!(text.code_points().last() != Some(0)),
            Element::DateTime(moment) => assert!(moment.iso().is_none_or(|iso| !iso.is_empty())),
            _ => {}
        }
    }
}
