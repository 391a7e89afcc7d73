//! Pages that wait in a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::ParquetError;

/// A file of pages, one behind the other, and its length.
#[derive(Debug)]
pub struct PageFile(Mutex<(File, u64)>);

/// A place in the file: where bytes begin, and how many they are.
pub type Place = (u64, usize);

impl PageFile {
    /// Takes an empty file.
    pub fn new(file: File) -> Self {
        Self(Mutex::new((file, 0)))
    }

    /// Appends bytes and returns their place.
    pub fn append(&self, bytes: &[u8]) -> io::Result<Place> {
        let (file, end) = &mut *self.0.lock().map_err(|_| io::Error::other("an earlier call failed"))?;
        file.seek(SeekFrom::Start(*end))?;
        file.write_all(bytes)?;
        let place = (*end, bytes.len());
        *end += bytes.len() as u64;
        Ok(place)
    }

    /// Returns the bytes at a place.
    pub fn read(&self, (start, length): Place) -> io::Result<Vec<u8>> {
        let (file, _) = &mut *self.0.lock().map_err(|_| io::Error::other("an earlier call failed"))?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Makes a page store for each column.
#[derive(Debug)]
pub struct FileStores(pub Arc<PageFile>);

impl PageStoreFactory for FileStores {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        Ok(Box::new(FileStore { pages: self.0.clone(), places: Vec::new() }))
    }
}

/// The pages of one column of a row group.
struct FileStore {
    pages: Arc<PageFile>,
    places: Vec<Place>,
}

impl PageStore for FileStore {
    fn put(&mut self, page: Bytes) -> Result<PageKey, ParquetError> {
        self.places.push(self.pages.append(&page)?);
        Ok(PageKey::new(self.places.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes, ParquetError> {
        Ok(self.pages.read(self.places[key.get() as usize])?.into())
    }
}
