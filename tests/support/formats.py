"""Files of the formats that need libraries of their own: HEIC, AVIF, DICOM."""

import io

import numpy as np
import pillow_heif
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

PATIENT = "Musterfrau^Erika"


def heic(image: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    # Lossless, but for the way to YCbCr and back.
    pillow_heif.from_pillow(image).save(content, quality=-1, chroma=444, **options)
    return content.getvalue()


def avif(image: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, "AVIF", quality=100, subsampling="4:4:4", **options)
    return content.getvalue()


def dicom(
    pixels: np.ndarray | list[bytes],
    kind: str = "RGB",
    syntax: str = ExplicitVRLittleEndian,
    **elements: object,
) -> bytes:
    """Returns a DICOM file of a patient.

    Args:
        pixels: (height, width) or (height, width, 3); or frames of JPEG, then `Rows` and `Columns`
            are among the elements.
        kind: The photometric interpretation.
        syntax: The transfer syntax.
        elements: By keyword, in place of those that the pixels give.
    """
    frames = pixels if isinstance(pixels, list) else []
    array = np.zeros((1, 1, 3), np.uint8) if frames else np.asarray(pixels)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if frames else syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.PatientName, data.PatientID, data.PatientBirthDate = PATIENT, "4711", "19640812"
    data.PhotometricInterpretation = kind
    data.Rows, data.Columns = array.shape[:2]
    data.SamplesPerPixel = array.shape[2] if array.ndim == 3 else 1
    if array.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * array.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    data.PixelData = encapsulate(frames) if frames else array.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    data["PixelData"].VR = "OB" if array.itemsize == 1 else "OW"
    content = io.BytesIO()
    pydicom.dcmwrite(content, data, enforce_file_format=True)
    return content.getvalue()
