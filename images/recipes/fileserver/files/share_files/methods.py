"""The methods by the names that control knows: each gets the request, and answers with what becomes JSON (or has answered itself)."""

from share_files.entries import change, find, rename
from share_files.files import clear, copy, create_file, read, remove_file, write
from share_files.folders import list_folder, make_folder, remove_folder
from share_files.packing import pack
from share_files.restoring import restore
from share_files.unpacking import unpack

METHODS = {
    "find": find,
    "list": list_folder,
    "makeFolder": make_folder,
    "removeFolder": remove_folder,
    "createFile": create_file,
    "removeFile": remove_file,
    "change": change,
    "rename": rename,
    "copy": copy,
    "read": read,
    "write": write,
    "clear": clear,
    "restore": restore,
    "pack": pack,
    "unpack": unpack,
}
