from knarr.meta.fielderrors import FieldError
def validate(obj): return []
def validate_update(obj, old): return []
def names_errors(names, path): return []
def warnings(obj): return []
